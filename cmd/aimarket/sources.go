package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/joho/godotenv"
)

// sources resolves flags that neither the command line nor the environment set
// from a file of NAME=value lines, the names being those of the environment. So
// one file serves this program, systemd and containers alike.
type sources struct {
	file   string
	values map[string]string
}

// load reads the file that --config or AIMARKET_CONFIG names. It looks at the
// raw arguments since resolvers run while kong parses them.
func (s *sources) load(args []string) error {
	s.file = os.Getenv("AIMARKET_CONFIG")
	for i, a := range args {
		if v, ok := strings.CutPrefix(a, "--config="); ok {
			s.file = v
		} else if a == "--config" && i+1 < len(args) {
			s.file = args[i+1]
		}
	}
	if s.file == "" {
		return nil
	}
	s.file = kong.ExpandPath(s.file) // --config=~/hub.env: no shell expands that
	f, err := os.Open(s.file)
	if err != nil {
		return fmt.Errorf("reading the settings file: %w", err)
	}
	defer f.Close()
	if s.values, err = godotenv.Parse(f); err != nil {
		return fmt.Errorf("settings file %s: %w; each line is NAME=value", s.file, err)
	}
	return nil
}

// Validate refuses names the file cannot mean.
func (s *sources) Validate(app *kong.Application) error {
	known := map[string]bool{"AIFACTORY_CRYPTO_ENABLED": true}
	_ = kong.Visit(app, func(n kong.Visitable, next kong.Next) error {
		if f, ok := n.(*kong.Flag); ok {
			for _, e := range f.Envs {
				known[e] = true
			}
		}
		return next(nil)
	})
	for name := range s.values {
		if strings.HasPrefix(name, "AIMARKET_") && !known[name] {
			return fmt.Errorf("settings file %s: there is no setting %s; aimarket config lists them", s.file, name)
		}
	}
	return nil
}

// Resolve implements kong.Resolver: the environment goes before the file.
func (s *sources) Resolve(_ *kong.Context, _ *kong.Path, f *kong.Flag) (any, error) {
	for _, e := range f.Envs {
		if _, ok := os.LookupEnv(e); ok {
			return nil, nil
		}
	}
	for _, e := range f.Envs {
		if v, ok := s.values[e]; ok && v != "" {
			return v, nil
		}
	}
	return nil, nil
}

// origins says for each flag where its value came from.
func (s *sources) origins(ctx *kong.Context) map[string]string {
	out := map[string]string{}
	for _, f := range ctx.Flags() {
		from := "default"
		for _, e := range f.Envs {
			if s.values[e] != "" {
				from = s.file
			}
		}
		for _, e := range f.Envs {
			if _, ok := os.LookupEnv(e); ok {
				from = "environment"
			}
		}
		out[f.Name] = from
	}
	for _, p := range ctx.Path {
		if p.Flag != nil && !p.Resolved {
			out[p.Flag.Name] = "flag"
		}
	}
	return out
}

// normalizeEnvironment makes an empty variable as good as none, but for the
// plugin list, where empty admits nothing; and reads the reference hub's payment
// switch where ours is not given.
func normalizeEnvironment() {
	for _, kv := range os.Environ() {
		name, value, _ := strings.Cut(kv, "=")
		if strings.HasPrefix(name, "AIMARKET_") && value == "" && name != "AIMARKET_PLUGIN_WHITELIST" {
			os.Unsetenv(name)
		}
	}
	if _, ok := os.LookupEnv("AIMARKET_MONEY"); !ok {
		switch os.Getenv("AIFACTORY_CRYPTO_ENABLED") {
		case "0", "false", "no":
			os.Setenv("AIMARKET_MONEY", "off")
		}
	}
}
