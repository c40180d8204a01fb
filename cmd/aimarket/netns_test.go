//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// machine is a network namespace: a machine of its own as far as any address goes.
type machine struct {
	t    *testing.T
	name string
	ip   string
	http *http.Client
}

// machines makes n namespaces on one Ethernet segment, 10.77.0.1 and up. It skips where
// the machine does not allow that.
func machines(t *testing.T, n int) []*machine {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("network namespaces need root")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("network namespaces need iproute2")
	}
	id := fmt.Sprintf("aim%d", os.Getpid()%10000)
	bridge := id + "b"
	if out, err := exec.Command("ip", "netns", "add", bridge).CombinedOutput(); err != nil {
		t.Skipf("this machine makes no network namespaces: %s", out)
	}
	t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", bridge).Run() })
	ip := func(args ...string) {
		t.Helper()
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Skipf("this machine cannot link network namespaces: ip %s: %s", strings.Join(args, " "), out)
		}
	}
	ip("-n", bridge, "link", "add", "br0", "type", "bridge")
	ip("-n", bridge, "link", "set", "br0", "up")
	var out []*machine
	for i := range n {
		m := &machine{t: t, name: fmt.Sprintf("%s%d", id, i), ip: fmt.Sprintf("10.77.0.%d", i+1)}
		ip("netns", "add", m.name)
		t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", m.name).Run() })
		port := fmt.Sprintf("p%d", i)
		ip("-n", bridge, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", m.name)
		ip("-n", bridge, "link", "set", port, "master", "br0")
		ip("-n", bridge, "link", "set", port, "up")
		ip("-n", m.name, "link", "set", "lo", "up")
		ip("-n", m.name, "addr", "add", m.ip+"/24", "dev", "eth0")
		ip("-n", m.name, "link", "set", "eth0", "up")
		ip("-n", m.name, "route", "add", "224.0.0.0/4", "dev", "eth0")
		m.http = &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DialContext: m.dial, DisableKeepAlives: true}}
		out = append(out, m)
	}
	return out
}

// apart makes three machines with public addresses of which only the middle one sees the
// others.
func apart(t *testing.T) (left, middle, right *machine) {
	t.Helper()
	ms := machines(t, 3)
	left, middle, right = ms[0], ms[1], ms[2]
	ip := func(args ...string) {
		t.Helper()
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Skipf("this machine cannot link network namespaces: ip %s: %s", strings.Join(args, " "), out)
		}
	}
	for _, m := range ms {
		ip("-n", m.name, "link", "del", "eth0")
	}
	middle.ip = "45.80.0.1"
	for i, m := range []*machine{left, right} {
		m.ip = fmt.Sprintf("45.8%d.0.2", i)
		ours := fmt.Sprintf("eth%d", i)
		ip("-n", m.name, "link", "add", "eth0", "type", "veth", "peer", "name", ours, "netns", middle.name)
		for _, end := range [][3]string{{m.name, "eth0", m.ip}, {middle.name, ours, fmt.Sprintf("45.8%d.0.1", i)}} {
			ip("-n", end[0], "addr", "add", end[2]+"/24", "dev", end[1])
			ip("-n", end[0], "link", "set", end[1], "up")
		}
	}
	return left, middle, right
}

// dial connects from within the namespace. Its thread is not given back: it would carry
// the namespace with it.
func (m *machine) dial(ctx context.Context, network, address string) (net.Conn, error) {
	type dialled struct {
		conn net.Conn
		err  error
	}
	done := make(chan dialled, 1)
	go func() {
		runtime.LockOSThread()
		f, err := os.Open("/var/run/netns/" + m.name)
		if err == nil {
			err = unix.Setns(int(f.Fd()), unix.CLONE_NEWNET)
			f.Close()
		}
		if err != nil {
			done <- dialled{nil, err}
			return
		}
		var d net.Dialer
		c, err := d.DialContext(ctx, network, address)
		done <- dialled{c, err}
	}()
	r := <-done
	return r.conn, r.err
}

// serve runs a hub on the machine with nothing but the given flags and returns the
// address that it prints for others to join by.
func (m *machine) serve(flags ...string) (join string) {
	m.t.Helper()
	dir := m.t.TempDir()
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() {
		log.Close()
		if raw, err := os.ReadFile(log.Name()); err == nil && m.t.Failed() {
			m.t.Logf("log of %s:\n%s", m.name, raw)
		}
	})
	args := append([]string{"netns", "exec", m.name, "aimarket", "serve", "--data", filepath.Join(dir, "data")}, flags...)
	cmd := exec.Command("ip", args...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	m.until("the hub to answer", func() bool { return m.get("/readyz", nil) == nil })
	if slices.Contains(flags, "none") {
		return "" // until a relay was found
	}
	m.until("the address to join by", func() bool {
		raw, err := os.ReadFile(log.Name())
		join = printedAddress.FindString(string(raw))
		return err == nil && join != ""
	})
	return join
}

var printedAddress = regexp.MustCompile(`/ip4/\S+/p2p/\w+`)

func (m *machine) get(path string, out any) error {
	resp, err := m.http.Get("http://127.0.0.1:9083" + path)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %d %s %v", path, resp.StatusCode, raw, err)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(raw, out)
}

func (m *machine) until(what string, ok func() bool) {
	m.t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			var peers json.RawMessage
			_ = m.get("/ai-market/v2/federation/peers", &peers)
			m.t.Fatalf("%s waited a minute for %s; its peers: %s", m.name, what, peers)
		}
	}
}

// finds reports whether a search on this machine shows an offer of another hub.
func (m *machine) finds() bool {
	var r struct {
		Matches []struct {
			SourceHub string `json:"source_hub"`
		} `json:"matches"`
	}
	if m.get("/ai-market/v2/search?intent=echo&limit=50", &r) != nil {
		return false
	}
	return slices.ContainsFunc(r.Matches, func(x struct {
		SourceHub string `json:"source_hub"`
	}) bool {
		return x.SourceHub != "local"
	})
}

func TestTwoMachinesAreOneMarket(t *testing.T) {
	ms := machines(t, 2)
	a, b := ms[0], ms[1]
	join := a.serve("--no-mdns")
	if !strings.Contains(join, a.ip) {
		t.Fatalf("the address to join by is %s, not one on %s", join, a.ip)
	}
	b.serve("--no-mdns", "--bootstrap", join)
	b.until("offers of the other machine", b.finds)
	a.until("offers of the other machine", a.finds)
}

func TestOneLANNeedsNoAddress(t *testing.T) {
	ms := machines(t, 2)
	for _, m := range ms {
		m.serve()
	}
	for _, m := range ms {
		m.until("offers of the other machine", m.finds)
	}
}

// A hub that no packet reaches unasked joins through a relay and is found by a hub that
// has no way to it but that relay.
func TestHubBehindNATIsFound(t *testing.T) {
	a, relay, hidden := apart(t)
	join := relay.serve("--relay", "--no-mdns", "--skip-seed")
	id := join[strings.LastIndex(join, "/p2p/"):]
	hidden.serve("--no-mdns", "--p2p-listen", "none", "--bootstrap", "/ip4/45.81.0.1/tcp/9084"+id)
	a.serve("--no-mdns", "--skip-seed", "--bootstrap", "/ip4/45.80.0.1/tcp/9084"+id)
	a.until("offers of the hidden hub", a.finds)
}
