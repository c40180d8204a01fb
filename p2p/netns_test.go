package p2p

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/aimarket/aimarket/internal/identity"
)

// machineEnv holds, for a process that plays a machine of its own, its machineConfig.
const machineEnv = "AIMARKET_TEST_MACHINE"

type machineConfig struct {
	Name      string
	Listen    []string
	Bootstrap []string
	Relay     bool
}

// machineState is what a machine prints whenever it changes.
type machineState struct {
	Addresses []string
	Connected int
	Answer    string
}

// machine runs a hub with the default rules (nothing private is dialled for strangers)
// until its input ends. A line of input is the key of a hub to call.
func machine() {
	var c machineConfig
	if err := json.Unmarshal([]byte(os.Getenv(machineEnv)), &c); err != nil {
		panic(err)
	}
	h, err := New(context.Background(), Config{
		Key: testKey(&testing.T{}, c.Name), Listen: c.Listen, Bootstrap: c.Bootstrap, Relay: c.Relay, DHT: true, Handler: hello,
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		panic(err)
	}
	defer h.Close()
	calls := make(chan string)
	go func() {
		defer close(calls)
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			calls <- in.Text()
		}
	}()
	var s machineState
	for last := ""; ; {
		s.Addresses, s.Connected = h.Multiaddrs(), len(h.Connected())
		if text, _ := json.Marshal(s); string(text) != last {
			last = string(text)
			fmt.Println(last)
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case key, more := <-calls:
			if !more {
				return
			}
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			r, _ := http.NewRequestWithContext(ctx, http.MethodGet, "libp2p://"+key+"/called", nil)
			if resp, err := h.RoundTrip(r); err != nil {
				s.Answer = err.Error()
			} else {
				text, _ := io.ReadAll(resp.Body)
				resp.Body.Close()
				raw, _ := parseHexKey(key)
				s.Answer = fmt.Sprintf("%s relayed=%v", text, h.Link(raw).Relayed)
			}
			cancel()
		}
	}
}

func run(t *testing.T, command ...string) {
	t.Helper()
	if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
		t.Skipf("this machine does not let tests make networks: %s: %v: %s", strings.Join(command, " "), err, out)
	}
}

// startMachine runs a hub in a network namespace and returns a way to call others from it
// and one to wait for a state of it.
func startMachine(t *testing.T, namespace string, c machineConfig) (call func(identity.PublicKey), until func(what string, ok func(machineState) bool) machineState) {
	t.Helper()
	config, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("ip", "netns", "exec", namespace, os.Args[0])
	cmd.Env = append(os.Environ(), machineEnv+"="+string(config))
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	states := make(chan machineState, 1000)
	go func() {
		defer close(states)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var s machineState
			if json.Unmarshal(lines.Bytes(), &s) == nil {
				states <- s
			}
		}
	}()
	t.Cleanup(func() {
		in.Close()
		for range states {
		}
		if err := cmd.Wait(); err != nil || t.Failed() {
			t.Logf("%s: %v\n%s", c.Name, err, log.String())
		}
	})
	call = func(key identity.PublicKey) { fmt.Fprintln(in, hex.EncodeToString(key[:])) }
	until = func(what string, ok func(machineState) bool) (s machineState) {
		t.Helper()
		for deadline := time.After(patience); ; {
			select {
			case next, more := <-states:
				if !more {
					t.Fatalf("%s ended before: %s", c.Name, what)
				}
				if s = next; ok(s) {
					return s
				}
			case <-deadline:
				t.Fatalf("not within %s: %s: %s; last: %+v", patience, c.Name, what, s)
			}
		}
	}
	return call, until
}

// TestMachinesApart joins three machines with public addresses. One listens nowhere, and
// no packet passes between it and the second: both see only the third, their relay.
func TestMachinesApart(t *testing.T) {
	if testing.Short() || os.Getuid() != 0 {
		t.Skip("network namespaces need root, and -short leaves them out")
	}
	prefix := fmt.Sprintf("aim%d", os.Getpid()%100000)
	relayNS, aNS, bNS := prefix+"r", prefix+"a", prefix+"b"
	for _, ns := range []string{relayNS, aNS, bNS} {
		run(t, "ip", "netns", "add", ns)
		t.Cleanup(func() { exec.Command("ip", "netns", "del", ns).Run() })
		run(t, "ip", "-n", ns, "link", "set", "lo", "up")
	}
	for i, ns := range []string{aNS, bNS} {
		theirs, ours := ns+"0", ns+"1"
		run(t, "ip", "-n", ns, "link", "add", theirs, "type", "veth", "peer", "name", ours, "netns", relayNS)
		for _, end := range [][3]string{{ns, theirs, fmt.Sprintf("45.%d.0.2/24", 80+i)}, {relayNS, ours, fmt.Sprintf("45.%d.0.1/24", 80+i)}} {
			run(t, "ip", "-n", end[0], "addr", "add", end[2], "dev", end[1])
			run(t, "ip", "-n", end[0], "link", "set", end[1], "up")
		}
	}
	relay, err := peerIDOf(testKey(t, "relay").Public())
	if err != nil {
		t.Fatal(err)
	}
	at := func(i int) []string { return []string{fmt.Sprintf("/ip4/45.%d.0.1/tcp/4001/p2p/%s", 80+i, relay)} }
	anywhere := []string{"/ip4/0.0.0.0/tcp/4001", "/ip4/0.0.0.0/udp/4001/quic-v1"}

	_, relayUntil := startMachine(t, relayNS, machineConfig{Name: "relay", Listen: anywhere, Relay: true})
	relayUntil("announces its addresses", func(s machineState) bool { return len(s.Addresses) == 4 })
	callFromA, aUntil := startMachine(t, aNS, machineConfig{Name: "a", Listen: anywhere, Bootstrap: at(0)})
	_, bUntil := startMachine(t, bNS, machineConfig{Name: "b", Bootstrap: at(1)})
	aUntil("joins", func(s machineState) bool { return s.Connected > 0 })
	bUntil("has a relayed address", func(s machineState) bool {
		return len(s.Addresses) > 0 && strings.Contains(s.Addresses[0], "/p2p-circuit/")
	})
	a := testKey(t, "a").Public()
	want := "true " + hex.EncodeToString(a[:]) + " /called  relayed=true"
	callFromA(testKey(t, "b").Public())
	if s := aUntil("calls b", func(s machineState) bool { return s.Answer != "" }); s.Answer != want {
		t.Errorf("%q, want %q", s.Answer, want)
	}
}
