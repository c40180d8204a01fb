package main

import (
	"fmt"
	"os"
	"strings"
)

type completionCmd struct {
	Shell string `arg:"" help:"bash, zsh or fish." enum:"bash,zsh,fish"`
}

// Help is shown by aimarket completion --help.
func (completionCmd) Help() string {
	return `Examples:
  source <(aimarket completion bash)
  aimarket completion fish > ~/.config/fish/completions/aimarket.fish`
}

// completions make each shell ask this program, which answers from its own
// command line when COMP_LINE is set.
var completions = map[string]string{
	"bash": "complete -C '%[1]s' aimarket\n",
	"zsh":  "autoload -U +X bashcompinit && bashcompinit\ncomplete -C '%[1]s' aimarket\n",
	"fish": `function __complete_aimarket
    set -lx COMP_LINE (commandline -cp)
    test -z (commandline -ct); and set COMP_LINE "$COMP_LINE "
    '%[1]s'
end
complete -f -c aimarket -a '(__complete_aimarket)'
`,
}

// Run prints the script.
func (c completionCmd) Run(e *env) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program's path: %w", err)
	}
	script := fmt.Sprintf(completions[c.Shell], strings.ReplaceAll(self, "'", `'\''`))
	if e.json {
		return e.printJSON(map[string]string{"shell": c.Shell, "script": script})
	}
	_, err = fmt.Fprint(e.out, script)
	return err
}
