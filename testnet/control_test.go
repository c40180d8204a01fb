package testnet

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// socket is a path short enough for a socket.
func socket(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "tn")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "c.sock")
}

func TestControl(t *testing.T) {
	n := start(t, Config{Nodes: 2, OwnRows: 1})
	path := socket(t)
	if _, err := Steer(within(t), path, Command{Do: "status"}); err == nil || !strings.Contains(err.Error(), "aimarket testnet up") {
		t.Errorf("nobody there: %v", err)
	}
	c, err := ListenControl(n, path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket: %v, %v", info.Mode(), err)
	}
	if _, err := ListenControl(n, path); err == nil || !strings.Contains(err.Error(), "already answers") {
		t.Errorf("a second one on the same socket: %v", err)
	}

	do := func(cmd Command) Status {
		t.Helper()
		s, err := Steer(within(t), path, cmd)
		if err != nil {
			t.Fatalf("%+v: %v", cmd, err)
		}
		return s
	}
	if s := do(Command{Do: "status"}); s.Up != 2 || len(s.Hubs) != 2 || s.Hubs[1].URL != n.Hub(2).URL() {
		t.Errorf("status: %+v", s)
	}
	if s := do(Command{Do: "cut", A: []int{1}}); len(s.Cuts) != 1 {
		t.Errorf("cut: %+v", s.Cuts)
	}
	if s := do(Command{Do: "heal"}); len(s.Cuts) != 0 {
		t.Errorf("heal: %+v", s.Cuts)
	}
	if s := do(Command{Do: "slow", Hub: 2, Delay: int64(20 * time.Millisecond)}); s.Hubs[1].DelayMS != 20 {
		t.Errorf("slow: %+v", s.Hubs[1])
	}
	if s := do(Command{Do: "kill", Hub: 2}); s.Hubs[1].State != Down || s.Up != 1 {
		t.Errorf("kill: %+v", s.Hubs[1])
	}
	if s := do(Command{Do: "restart", Hub: 2}); s.Hubs[1].State != Up || s.Hubs[1].DelayMS != 20 {
		t.Errorf("restart: %+v", s.Hubs[1])
	}
	for _, bad := range []Command{{Do: "kill", Hub: 3}, {Do: "dance"}, {}, {Do: "cut", A: []int{1, 2}}} {
		if _, err := Steer(within(t), path, bad); err == nil || strings.HasSuffix(err.Error(), ": ") {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("the socket is still there")
	}
}

func TestControlPath(t *testing.T) {
	n := &Network{}
	path := socket(t)
	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ListenControl(n, path); err == nil {
		t.Error("a file was replaced by a socket")
	}
	if raw, _ := os.ReadFile(path); string(raw) != "mine" {
		t.Errorf("the file holds %q", raw)
	}
	if _, err := ListenControl(n, filepath.Join(filepath.Dir(path), strings.Repeat("a", maxSocket))); err == nil {
		t.Error("a path too long for a socket was taken")
	}
	// Left over from a crash: a socket that nobody answers on.
	path += "2"
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ln.(*net.UnixListener).SetUnlinkOnClose(false)
	ln.Close()
	c, err := ListenControl(n, path)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}
