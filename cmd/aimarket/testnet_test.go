package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/aimarket/aimarket/testnet"
)

// TestTestnetScripts runs the stories of many hubs in testdata/testnet.
func TestTestnetScripts(t *testing.T) {
	sockets, err := os.MkdirTemp("", "tn") // short enough for a socket, wherever the scripts run
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(sockets) })
	testscript.Run(t, testscript.Params{
		Dir: "testdata/testnet",
		Setup: func(e *testscript.Env) error {
			e.Setenv("AIMARKET_WALLET", filepath.Join(e.WorkDir, "wallet.json"))
			e.Setenv("AIMARKET_TESTNET_CONTROL", filepath.Join(sockets, filepath.Base(e.WorkDir)+".sock"))
			e.Setenv("TMPDIR", filepath.Join(e.WorkDir, "tmp"))
			return os.Mkdir(filepath.Join(e.WorkDir, "tmp"), 0o700)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"until": untilCommand,
			// hubs sets HUB1, HUB2… to the addresses of the network's hubs.
			"hubs": func(ts *testscript.TestScript, _ bool, _ []string) {
				ts.Check(ts.Exec("aimarket", "testnet", "status", "--json"))
				var s testnet.Status
				ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &s))
				for _, h := range s.Hubs {
					ts.Setenv(fmt.Sprintf("HUB%d", h.Number), h.URL)
				}
			},
			// empty DIR demands that nothing is left in it.
			"empty": func(ts *testscript.TestScript, _ bool, args []string) {
				left, err := os.ReadDir(ts.MkAbs(args[0]))
				ts.Check(err)
				if len(left) > 0 {
					ts.Fatalf("%s still holds %v", args[0], left)
				}
			},
		},
	})
}

// untilCommand is until REGEXP COMMAND…: it repeats a command until its output matches
// or, with !, does not; nothing but asking can tell what other processes have done.
func untilCommand(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: until REGEXP COMMAND ARGS")
	}
	pattern, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	deadline := time.Now().Add(30 * time.Second)
	for {
		// Not ts.Exec: it would log every attempt.
		cmd := exec.Command(args[1], args[2:]...)
		cmd.Dir, cmd.Env = ts.MkAbs("."), os.Environ()
		for _, name := range []string{"AIMARKET_WALLET", "AIMARKET_TESTNET_CONTROL", "TMPDIR"} {
			cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
		}
		raw, err := cmd.CombinedOutput()
		out := string(raw)
		if err == nil && pattern.MatchString(out) != neg {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("not within 30 s: %s\nlast: %v\n%s", strings.Join(args, " "), err, out)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func TestHubList(t *testing.T) {
	for text, want := range map[string]hubList{
		"1": {1}, "1,3": {1, 3}, "2-4": {2, 3, 4}, "1, 3-4": {1, 3, 4}, "5-5": {5},
		"": nil, "0": nil, "-1": nil, "3-1": nil, "a": nil, "1,": nil, "1-": nil, "1001": nil, "1-1000000000": nil,
	} {
		var got hubList
		err := got.UnmarshalText([]byte(text))
		if err == nil != (want != nil) || want != nil && !slices.Equal(got, want) {
			t.Errorf("%q: %v, %v; want %v", text, got, err, want)
		}
	}
}

func TestKnows(t *testing.T) {
	s := testnet.Status{Hubs: make([]testnet.HubStatus, 6)}
	for i := range s.Hubs {
		s.Hubs[i].Number = i + 1
	}
	h := testnet.HubStatus{Number: 2, State: testnet.Up, Active: []int{1, 3}, Linked: []int{3, 4}, Pending: []int{4}, Others: []int{6}}
	if got := knows(s, h); got != "○-●?·x" {
		t.Errorf("%s", got)
	}
	h.State = testnet.Down
	if got := knows(s, h); got != "" {
		t.Errorf("of a hub that is down: %s", got)
	}
}
