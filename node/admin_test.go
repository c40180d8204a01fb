package node

import (
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// socketClient asks a folder's admin socket.
func socketClient(t *testing.T, dir string) *http.Client {
	t.Helper()
	socket, err := AdminSocket(dir)
	if err != nil {
		t.Fatal(err)
	}
	tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

func TestAdminSocketIsPrivateAndGoesWithTheHub(t *testing.T) {
	dir := t.TempDir()
	c := testConfig(dir)
	c.AdminListen = "unix"
	path, err := AdminSocket(dir)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		h := start(t, c)
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 || info.Mode().Type() != os.ModeSocket {
			t.Errorf("socket: %v, %v", info, err)
		}
		admin := socketClient(t, dir)
		if status, body := get(t, admin, "http://admin/metrics"); status != http.StatusOK || !strings.Contains(body, "aimarket_store_failed 0") {
			t.Errorf("metrics: HTTP %d: %s", status, body)
		}
		admin.CloseIdleConnections()
		h.mustStop()
		if _, err := os.Stat(path); err == nil {
			t.Error("a stopped hub left its socket")
		}
		// A killed one leaves it, and the next start replaces it.
		ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
		if err != nil {
			t.Fatal(err)
		}
		ln.SetUnlinkOnClose(false)
		_ = ln.Close()
	}
}

// Profiles, metrics and backup are the operator's; the public address has none.
func TestOperatorRoutesAreNotPublic(t *testing.T) {
	c := testConfig(t.TempDir())
	c.AdminListen = "127.0.0.1:0"
	h := start(t, c)
	defer http.DefaultClient.CloseIdleConnections()
	for path, want := range map[string]string{
		"/debug/pprof/": "goroutine", "/debug/pprof/cmdline": "", "/metrics": "aimarket_channels_open 0", "/debug/state": "{",
	} {
		status, body := get(t, http.DefaultClient, "http://"+h.admin.Addr().String()+path)
		if status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("operator %s: HTTP %d: %.200s", path, status, body)
		}
		status, body = get(t, http.DefaultClient, "http://"+h.Addr().String()+path)
		if status < 400 || want != "" && want != "{" && strings.Contains(body, want) {
			t.Errorf("public %s: HTTP %d: %.200s", path, status, body)
		}
	}
	resp, err := http.Post("http://"+h.Addr().String()+"/backup", "application/json", strings.NewReader(`{"dir":"`+filepath.Join(t.TempDir(), "x")+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusNotFound {
		t.Errorf("public backup: HTTP %d", resp.StatusCode)
	}
}

func TestAdminMayBeOff(t *testing.T) {
	for _, off := range []string{"", "off"} {
		dir := t.TempDir()
		c := testConfig(dir)
		c.AdminListen = off
		h := start(t, c)
		if h.admin != nil {
			t.Errorf("%q: listens on %s", off, h.admin.Addr())
		}
		h.mustStop()
	}
}

// A profile that runs for minutes does not hold up the shutdown.
func TestALongProfileDoesNotKeepTheHubFromStopping(t *testing.T) {
	dir := t.TempDir()
	c := testConfig(dir)
	c.AdminListen = "unix"
	h := start(t, c)
	began := make(chan struct{})
	cut := make(chan error, 1)
	admin := socketClient(t, dir)
	go func() {
		resp, err := admin.Get("http://admin/debug/pprof/trace?seconds=600")
		close(began)
		if err == nil {
			_, err = resp.Body.Read(make([]byte, 1))
			for err == nil {
				_, err = resp.Body.Read(make([]byte, 4096))
			}
			_ = resp.Body.Close()
		}
		cut <- err
	}()
	<-began
	if err := h.stop(); err == nil || !strings.Contains(err.Error(), "admin address") {
		t.Errorf("Run returned %v", err)
	}
	<-cut
	checkFolder(t, dir)
}

// A folder too deep for a socket's address is reached from where the hub starts,
// or said to be too deep.
func TestAdminSocketOfALongPath(t *testing.T) {
	parent := t.TempDir()
	t.Chdir(parent)
	deep := filepath.Join(parent, strings.Repeat("d", maxSocketPath))
	c := testConfig(deep)
	c.AdminListen = "unix"
	if _, err := New(t.Context(), c); err == nil || !strings.Contains(err.Error(), "--admin-listen") {
		t.Errorf("a path that no socket can have: %v", err)
	}
	near := filepath.Join(parent, "d")
	for len(filepath.Join(near, "admin.sock")) <= maxSocketPath {
		near = filepath.Join(near, "dddddddddd")
	}
	if err := os.MkdirAll(near, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Chdir(near)
	c = testConfig(filepath.Join(near, "data"))
	c.AdminListen = "unix"
	h := start(t, c)
	admin := socketClient(t, c.DataDir)
	if status, _ := get(t, admin, "http://admin/metrics"); status != http.StatusOK {
		t.Errorf("HTTP %d", status)
	}
	admin.CloseIdleConnections()
	h.mustStop()
}
