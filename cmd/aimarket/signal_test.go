package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// halfSent opens an exchange that the hub cannot finish: the body never comes.
func halfSent(t *testing.T, p *process) {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_, err = fmt.Fprintf(conn, "POST /ai-market/v2/invoke HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n")
	if err != nil {
		t.Fatal(err)
	}
	// The hub asks for the body once its handler waits for it.
	if _, err := conn.Read(make([]byte, 25)); err != nil {
		t.Fatal(err)
	}
}

// refuses waits until a hub takes no more connections: it is stopping.
func refuses(t *testing.T, p *process) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; {
		conn, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
		if err != nil {
			return
		}
		conn.Close()
		if time.Now().After(deadline) {
			t.Fatal("a hub that was asked to stop still takes connections")
		}
	}
}

// The first signal lets the exchanges under way finish, a second one does not wait
// for them. Either way the folder is whole.
func TestSignals(t *testing.T) {
	for _, sig := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		t.Run(sig.String(), func(t *testing.T) {
			data := filepath.Join(t.TempDir(), "data")
			hub := startProcess(t, data)
			if err := hub.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			if err := hub.Wait(); err != nil {
				t.Fatalf("asked to stop: %v", err)
			}

			hub = startProcess(t, data)
			halfSent(t, hub)
			if err := hub.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			refuses(t, hub)
			if err := hub.Process.Signal(sig); err != nil {
				t.Fatalf("it did not wait for the exchange: %v", err)
			}
			asked := time.Now()
			var exit *exec.ExitError
			if err := hub.Wait(); !errors.As(err, &exit) {
				t.Fatalf("asked again: %v", err)
			}
			if want := 128 + int(sig.(syscall.Signal)); exit.ExitCode() != want {
				t.Errorf("asked again: %v, want exit %d", exit, want)
			}
			if took := time.Since(asked); took > 5*time.Second {
				t.Errorf("asked again, it took %s", took)
			}
			if out, err := exec.Command("aimarket", "check", "--data", data).CombinedOutput(); err != nil {
				t.Errorf("check: %v\n%s", err, out)
			}
		})
	}
}
