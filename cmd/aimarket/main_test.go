package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets this test binary be the program: scripts and the kill loop run it
// as a process of its own.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"aimarket": main,
	})
}

// TestScripts runs the stories in testdata/script: each is also a page of manual.
func TestScripts(t *testing.T) {
	examples := t.TempDir()
	if out, err := exec.Command("go", "build", "-o", examples, "../../examples/...").CombinedOutput(); err != nil {
		t.Fatalf("building the examples: %v\n%s", err, out)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Setenv("AIMARKET_WALLET", filepath.Join(e.WorkDir, "wallet.json"))
			e.Setenv("AIMARKET_P2P", "0") // or the hubs of all stories would find each other
			e.Setenv("PATH", examples+string(filepath.ListSeparator)+e.Getenv("PATH"))
			return os.CopyFS(filepath.Join(e.WorkDir, "vectors"), os.DirFS("../../internal/canon/testdata/vectors"))
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			// port NAME... sets variables to free ports.
			"port": func(ts *testscript.TestScript, _ bool, names []string) {
				for _, name := range names {
					ts.Setenv(name, freePort(ts.Check))
				}
			},
			// ready URL waits until a server answers.
			"ready": func(ts *testscript.TestScript, _ bool, args []string) {
				ts.Check(waitReady(args[0]))
			},
			// exits CODE COMMAND... is exec that demands an exit code.
			"exits": func(ts *testscript.TestScript, _ bool, args []string) {
				code := 0
				err := ts.Exec(args[1], args[2:]...)
				if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
					code = exit.ExitCode()
				} else {
					ts.Check(err)
				}
				if fmt.Sprint(code) != args[0] {
					ts.Fatalf("exit %d, want %s", code, args[0])
				}
			},
			// flip FILE TEXT NEW replaces the first TEXT of a file.
			"flip": func(ts *testscript.TestScript, _ bool, args []string) {
				path := ts.MkAbs(args[0])
				raw, err := os.ReadFile(path)
				ts.Check(err)
				changed := replaceFirst(string(raw), args[1], args[2])
				if changed == string(raw) {
					ts.Fatalf("%s holds no %q", args[0], args[1])
				}
				ts.Check(os.WriteFile(path, []byte(changed), 0o600))
			},
			// joinaddr NAME URL sets a variable to the multiaddr by which others join a hub.
			"joinaddr": func(ts *testscript.TestScript, _ bool, args []string) {
				address, err := joinAddress(args[1])
				ts.Check(err)
				ts.Setenv(args[0], address)
			},
			// eventually PATTERN COMMAND... repeats a command until its output matches.
			"eventually": func(ts *testscript.TestScript, neg bool, args []string) {
				ts.Check(eventually(func() (string, error) {
					err := ts.Exec(args[1], args[2:]...)
					return ts.ReadFile("stdout"), err
				}, args[0], !neg))
			},
			// post URL BODY expects STATUS and leaves the answer in the file "answer".
			"post": func(ts *testscript.TestScript, _ bool, args []string) {
				ts.Check(post(ts.MkAbs("answer"), args))
			},
		},
	})
}

func freePort(check func(error)) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	defer ln.Close()
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	return port
}

// waitReady polls a condition of another process; nothing else can tell.
func waitReady(url string) error {
	deadline := time.Now().Add(30 * time.Second)
	for {
		resp, err := http.Get(url)
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode < 500 {
				return nil
			}
			err = fmt.Errorf("HTTP %d", resp.StatusCode)
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s was not ready within 30 s: %w", url, err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// process is one hub process that a test may kill.
type process struct {
	*exec.Cmd
	url string
}

// startProcess runs a hub of its own, startMember one that others can join.
func startProcess(t *testing.T, data string, flags ...string) *process {
	t.Helper()
	return startHub(t, data, append([]string{"--no-p2p"}, flags...)...)
}

func startMember(t *testing.T, data string, flags ...string) *process {
	t.Helper()
	return startHub(t, data, append([]string{"--no-mdns", "--p2p-listen", "/ip4/127.0.0.1/tcp/0"}, flags...)...)
}

func startHub(t *testing.T, data string, flags ...string) *process {
	t.Helper()
	port := freePort(func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	})
	args := append([]string{"serve", "--data", data, "--listen", "127.0.0.1:" + port, "--log-level", "warn",
		"--invoke-rate-per-min", "0", "--channel-rate-per-min", "0"}, flags...)
	p := &process{exec.Command("aimarket", args...), "http://127.0.0.1:" + port}
	p.Stderr = os.Stderr
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	if err := waitReady(p.url + "/readyz"); err != nil {
		t.Fatal(err)
	}
	return p
}

// kill ends the process at once, as a power cut would.
func (p *process) kill() {
	if p.ProcessState != nil {
		return
	}
	_ = p.Process.Kill()
	var exit *exec.ExitError
	if err := p.Wait(); err != nil && !errors.As(err, &exit) {
		panic(err)
	}
}
