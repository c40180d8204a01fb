//go:build linux

package main

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

// natRules are those of a home router: what is inside goes out under the router's address,
// and from outside comes only what answers.
const natRules = `table ip nat {
	chain post { type nat hook postrouting priority 100; oifname "eth0" masquerade; }
}
table ip filter {
	chain to { type filter hook input priority 0; iifname "eth0" ct state established,related accept; iifname "eth0" drop; }
	chain through { type filter hook forward priority 0; iifname "eth0" ct state established,related accept; iifname "eth0" drop; }
}
`

// homes makes public machines on one segment, 45.80.0.1 and up, and machines behind a
// router each, which has the next public addresses. It skips where the machine does not
// allow that.
func homes(t *testing.T, public, hidden int) (open, behind []*machine) {
	t.Helper()
	if _, err := exec.LookPath("nft"); err != nil {
		t.Skip("a router that translates addresses needs nftables")
	}
	run := func(input, name string, args ...string) {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Stdin = strings.NewReader(input)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Skipf("this machine cannot be a router: %s %s: %s", name, strings.Join(args, " "), out)
		}
	}
	ms := machines(t, public+2*hidden)
	for i, m := range ms {
		if i < public+hidden { // on the segment: public machines, then routers
			run("", "ip", "-n", m.name, "addr", "del", m.ip+"/24", "dev", "eth0")
			m.ip = fmt.Sprintf("45.80.0.%d", i+1)
			run("", "ip", "-n", m.name, "addr", "add", m.ip+"/24", "dev", "eth0")
			continue
		}
		router, lan := ms[i-hidden], fmt.Sprintf("10.%d.0.", i)
		m.ip = lan + "2"
		run("", "ip", "-n", m.name, "link", "del", "eth0")
		run("", "ip", "-n", m.name, "link", "add", "eth0", "type", "veth", "peer", "name", "lan", "netns", router.name)
		for _, end := range [][3]string{{m.name, "eth0", m.ip}, {router.name, "lan", lan + "1"}} {
			run("", "ip", "-n", end[0], "addr", "add", end[2]+"/24", "dev", end[1])
			run("", "ip", "-n", end[0], "link", "set", end[1], "up")
		}
		run("", "ip", "-n", m.name, "route", "add", "default", "via", lan+"1")
		run("", "ip", "netns", "exec", router.name, "sysctl", "-qw", "net.ipv4.ip_forward=1")
		run(natRules, "ip", "netns", "exec", router.name, "nft", "-f", "-")
	}
	return ms[:public], ms[public+hidden:]
}

// Two hubs at home, each behind a router that lets nothing in unasked, are introduced by a
// relay and then speak without it.
func TestHubsBehindRoutersMeet(t *testing.T) {
	open, behind := homes(t, 2, 2)
	join := open[0].serve("--relay", "--no-mdns", "--skip-seed")
	open[1].serve("--no-mdns", "--skip-seed", "--bootstrap", join)
	for _, m := range behind {
		m.serve("--no-mdns", "--bootstrap", join)
	}
	for i, m := range behind {
		router := fmt.Sprintf("/ip4/45.80.0.%d/", 2+len(behind)-i) // the other one's
		m.until("a direct connection to the other home", func() bool {
			var r struct {
				Peers []struct {
					Status string `json:"status"`
					Link   struct {
						Address string `json:"address"`
					} `json:"link"`
				} `json:"peers"`
			}
			if m.get("/ai-market/v2/federation/peers", &r) != nil {
				return false
			}
			for _, p := range r.Peers {
				if p.Status == "active" && strings.HasPrefix(p.Link.Address, router) && !strings.Contains(p.Link.Address, "p2p-circuit") {
					return true
				}
			}
			return false
		})
		m.until("offers of the other home", m.finds)
	}
}
