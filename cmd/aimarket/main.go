// Command aimarket is a peer-to-peer hub for AI capabilities, and the tool to
// use any such hub from a shell.
//
// It reads flags, environment and files, prints for people or, with --json, for
// programs, and leaves every decision to the packages below. Exit codes: 0 done,
// 1 the thing asked for failed or is not valid, 2 the command line or an input
// could not be read, 130 and 143 a second signal did not wait for the end.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
	"github.com/willabides/kongplete"
)

// version is set by the linker.
var version = "dev"

// cli is the command line. Every command has --json, and help that teaches.
type cli struct {
	JSON   bool   `help:"Print JSON for programs." short:"j"`
	Server string `help:"URL of the hub to talk to." default:"http://localhost:9083" env:"AIMARKET_SERVER" placeholder:"URL"`
	Config string `help:"File of AIMARKET_* settings, one NAME=value a line." env:"AIMARKET_CONFIG" type:"path" placeholder:"FILE"`

	Serve     serveCmd     `cmd:"" help:"Run a hub."`
	Search    searchCmd    `cmd:"" help:"Find capabilities by what they should do."`
	Invoke    invokeCmd    `cmd:"" help:"Call a capability and print its result."`
	Channel   channelCmd   `cmd:"" help:"Open, look at or close a prepaid channel."`
	Publish   publishCmd   `cmd:"" help:"List a capability on a hub."`
	Unpublish unpublishCmd `cmd:"" help:"Take a capability off a hub."`
	Peers     peersCmd     `cmd:"" help:"Show the hubs that a hub knows, and decide about them."`
	Crawl     crawlCmd     `cmd:"" help:"Have a hub read the hubs around it now."`
	Stats     statsCmd     `cmd:"" help:"Show a hub's calls and totals."`
	Trust     trustCmd     `cmd:"" help:"Show a hub's trust score and what it is made of."`
	Verify    verifyCmd    `cmd:"" help:"Check a signed receipt, manifest, discovery document, hub head or announcement offline."`

	Testnet testnetCmd `cmd:"" help:"Run and steer a market of many hubs on this machine."`

	Check   checkCmd   `cmd:"" help:"Verify every money invariant in a stopped hub's data folder."`
	Backup  backupCmd  `cmd:"" help:"Copy a hub's state while it runs."`
	Restore restoreCmd `cmd:"" help:"Put a backup back into a data folder."`
	Bench   benchCmd   `cmd:"" help:"Measure this machine, each figure beside its bare floor."`
	Keygen  keygenCmd  `cmd:"" help:"Make an Ed25519 key file."`

	RotateKey rotateKeyCmd `cmd:"" help:"Give a stopped hub another key, which the mesh follows."`

	ShowConfig configCmd     `cmd:"" name:"config" help:"Show the effective settings and where each comes from."`
	Version    versionCmd    `cmd:"" help:"Print the version."`
	Completion completionCmd `cmd:"" help:"Print a shell completion script."`
}

const description = `A hub where agents find, pay and call capabilities.

  aimarket serve                              run a hub on http://localhost:9083
  aimarket search "translate a text"          find what does it
  aimarket channel open --deposit 5           put money on a channel
  aimarket invoke aimarket.text/echo@v1 --input '{"text":"hi"}' --channel FILE
  aimarket verify receipt.json                check the receipt offline`

// exitError carries an exit code out of a command.
type exitError struct {
	code int
	err  error // nil: already said
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit %d", e.code)
	}
	return e.err.Error()
}
func (e *exitError) Unwrap() error { return e.err }

// unreadable marks an input that could not be read or understood: exit 2.
func unreadable(err error) error { return &exitError{2, err} }

func main() {
	os.Exit(run(interruptible(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// interruptible returns a context that the first signal ends, so that what is under
// way can be finished. The second ends the program, with the code that shells give
// to one which that signal killed.
func interruptible() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		cancel()
		code := 128 + int(syscall.SIGTERM)
		if <-signals == os.Interrupt {
			code = 128 + int(syscall.SIGINT)
		}
		os.Exit(code)
	}()
	return ctx
}

// env is what a command works with besides its flags.
type env struct {
	ctx      context.Context
	in       io.Reader
	out, err io.Writer
	json     bool
	server   string
	origin   map[string]string // flag name -> where its value came from
	model    *kong.Kong
}

func run(ctx context.Context, args []string, in io.Reader, out, errw io.Writer) int {
	normalizeEnvironment()
	var c cli
	code := -1
	sources := &sources{}
	parser, err := kong.New(&c, kong.Name("aimarket"), kong.Description(description),
		kong.UsageOnError(), kong.Writers(out, errw), kong.Exit(func(i int) { code = i }),
		kong.Resolvers(sources), kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.ExplicitGroups([]kong.Group{
			{Key: "hub", Title: "The hub:"}, {Key: "mesh", Title: "Other hubs:"}, {Key: "money", Title: "Money:"},
			{Key: "access", Title: "Who may do what:"}, {Key: "limits", Title: "Limits:"},
		}))
	if err != nil {
		fmt.Fprintln(errw, "aimarket:", err)
		return 2
	}
	if os.Getenv("COMP_LINE") != "" { // a shell asks for completions
		kongplete.Complete(parser, kongplete.WithExitFunc(func(i int) { code = i }))
		return max(code, 0)
	}
	if err := sources.load(args); err != nil {
		fmt.Fprintln(errw, "aimarket:", err)
		return 2
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	kctx, err := parser.Parse(args)
	if code >= 0 { // --help printed and asked to exit
		return code
	}
	if err != nil {
		complain(errw, err)
		fmt.Fprintln(errw, "Try: aimarket --help")
		return 2
	}
	e := &env{ctx: ctx, in: in, out: out, err: errw, json: c.JSON, server: c.Server, origin: sources.origins(kctx), model: parser}
	err = kctx.Run(e)
	var exit *exitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		if exit.err != nil {
			complain(errw, exit.err)
		}
		return exit.code
	}
	complain(errw, err)
	return 1
}

// complain prints an error. It may quote a stranger: a hub's refusal, a document.
func complain(w io.Writer, err error) {
	fmt.Fprintln(w, "aimarket:", printable(strings.ReplaceAll(err.Error(), "\n", "; ")))
}
