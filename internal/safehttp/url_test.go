package safehttp

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
)

// names answers from a table; a name that is not there does not resolve.
type names map[string][]string

func (n names) LookupNetIP(_ context.Context, network, host string) ([]netip.Addr, error) {
	if network != "ip" {
		return nil, errors.New("network " + network)
	}
	var out []netip.Addr
	for _, a := range n[host] {
		out = append(out, netip.MustParseAddr(a))
	}
	if out == nil {
		return nil, errors.New("no such host")
	}
	return out, nil
}

var testNames = names{
	"hub.example":       {"93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946"},
	"hub.example.":      {"93.184.216.34"},
	"xn--bcher-kva.de":  {"93.184.216.34"},
	"under_score.de":    {"93.184.216.34"},
	"mapped.example":    {"::ffff:93.184.216.34"},
	"half.example":      {"93.184.216.34", "10.0.0.1"},
	"half6.example":     {"93.184.216.34", "::1"},
	"localhost":         {"127.0.0.1", "::1"},
	"metadata.internal": {"169.254.169.254"},
	"zone.example":      {"2606:2800::1%eth0"},
}

func TestCheckURLPasses(t *testing.T) {
	c := New(Options{Resolver: testNames})
	defer c.Close()
	for _, u := range []string{
		"http://hub.example", "https://hub.example/", "https://HUB.example:8443/a/b?c=d#e",
		"http://hub.example./x", "http://93.184.216.34:1", "http://[2606:2800:220:1::1]/",
		"http://[2606:2800:220:1::1]:65535/", "https://xn--bcher-kva.de", "http://under_score.de",
		"http://mapped.example", "http://[::ffff:93.184.216.34]/", "http://hub.example?x=@y",
		"http://hub.example/@user%40", "http://hub.example/ä", "http://1.1.1.1",
		"http://hub.example/" + strings.Repeat("a", MaxURLBytes-len("http://hub.example/")),
	} {
		if err := c.CheckURL(context.Background(), u); err != nil {
			t.Errorf("%s: %v", u, err)
		}
	}
}

// hostile lists URLs that every client must refuse unless local ones are allowed.
var hostile = []string{
	// Not a URL of ours.
	"", "hub.example", "//hub.example", "ftp://hub.example", "file:///etc/passwd", "gopher://hub.example",
	"javascript:alert(1)", "http:hub.example", "http:/hub.example", "http:///hub.example", "HTTP://hub.example",
	"Https://hub.example", " http://hub.example", "http://hub.example ", "http://", "http://:80", "https://?x",
	"data:text/plain,http://hub.example", "unix:///run/x.sock", "http+unix://x", "http//hub.example",
	"http://hub.example/" + strings.Repeat("a", MaxURLBytes),
	// Control characters and characters that parsers read differently.
	"http://hub.example\r\n", "http://hub.example/\r\nHost: x", "http://hub.example/\tx", "http://hub\t.example",
	"http://hub.example/\x00", "http://hub.example/\x7f", "http://hub.example/a b", "http://hub.example\\@127.0.0.1/",
	"http:\\\\hub.example", "http://hub.example\n@127.0.0.1", "\thttp://hub.example", "http://hub.example\x0b",
	// User names.
	"http://user@hub.example", "http://user:pass@hub.example", "http://hub.example@127.0.0.1", "http://@hub.example",
	"http://hub.example:80@127.0.0.1/",
	// Ports.
	"http://hub.example:", "http://hub.example:0", "http://hub.example:65536", "http://hub.example:-1",
	"http://hub.example:http", "http://hub.example:080", "http://hub.example:80:80", "http://[::1", "http://hub.example:99999999999",
	// Hosts.
	"http://.", "http://..", "http://.hub.example", "http://hub..example", "http://hub.example..", "http://hub.exa mple",
	"http://hub%2eexample", "http://%31%32%37.0.0.1", "http://bücher.de", "http://１２７.0.0.1", "http://127。0。0。1",
	"http://hub.example,127.0.0.1", "http://hub.example;x", "http://hub!.example", "http://*.example",
	"http://" + strings.Repeat("a", 64) + ".example", "http://" + strings.Repeat("a.", 128) + "example",
	// IPv4 in other spellings.
	"http://2130706433", "http://127.1", "http://127.0.1", "http://0177.0.0.1", "http://0x7f.1", "http://0x7f.0.0.1",
	"http://0x7f000001", "http://017700000001", "http://127.0.0.01", "http://127.0.0.1.", "http://0", "http://0x",
	"http://127.0.0.0x1", "http://1.2.3", "http://1.2.3.4.5", "http://256.256.256.256", "http://1.2.3.4.",
	"http://00.0.0.0", "http://93.184.216.034", "http://foo.0x7f", "http://foo.1", "http://4294967296", "http://0X7F.1",
	// Addresses that are not public.
	"http://0.0.0.0", "http://0.1.2.3", "http://10.0.0.1", "http://10.255.255.255", "http://100.64.0.1", "http://100.127.255.255",
	"http://127.0.0.1", "http://127.255.255.254:8080", "http://169.254.169.254/latest/meta-data/", "http://172.16.0.1",
	"http://172.31.255.255", "http://192.0.0.1", "http://192.0.0.170", "http://192.0.2.1", "http://192.88.99.1", "http://192.168.0.1",
	"http://198.18.0.1", "http://198.19.255.255", "http://198.51.100.1", "http://203.0.113.1", "http://224.0.0.1",
	"http://239.255.255.255", "http://240.0.0.1", "http://255.255.255.255", "http://100.100.100.200",
	// IPv6.
	"http://[::]", "http://[::1]", "http://[0:0:0:0:0:0:0:1]", "http://[::2]", "http://[::ffff:127.0.0.1]", "http://[::ffff:7f00:1]",
	"http://[::ffff:10.0.0.1]", "http://[::ffff:169.254.169.254]", "http://[::127.0.0.1]", "http://[::93.184.216.34]",
	"http://[::ffff:0:127.0.0.1]", "http://[64:ff9b::127.0.0.1]", "http://[64:ff9b::8.8.8.8]", "http://[64:ff9b:1::1]",
	"http://[2002:7f00:1::]", "http://[2002:808:808::1]", "http://[2001::1]", "http://[2001:0:4136:e378:8000:63bf:3fff:fdd2]",
	"http://[2001:2::1]", "http://[2001:10::1]", "http://[2001:20::1]", "http://[2001:db8::1]", "http://[3fff::1]", "http://[3ffe::1]",
	"http://[fc00::1]", "http://[fd00:ec2::254]", "http://[fdff::1]", "http://[fe80::1]", "http://[fe80::1%25eth0]", "http://[fe80::1%eth0]",
	"http://[fec0::1]", "http://[ff02::1]", "http://[ff00::]", "http://[100::1]", "http://[5f00::1]", "http://[4000::1]",
	"http://[127.0.0.1]", "http://[hub.example]", "http://[]", "http://[::1]x", "http://[2606:2800::1]]", "http://2606:2800::1",
	"http://[2606:2800::1%25en0]", "http://[v1.fe]",
	// Names.
	"http://localhost", "http://LOCALHOST:80", "http://half.example", "http://half6.example", "http://metadata.internal",
	"http://zone.example", "http://nowhere.example",
}

func TestCheckURLRefuses(t *testing.T) {
	if len(hostile) < 100 {
		t.Fatalf("only %d hostile URLs", len(hostile))
	}
	c := New(Options{Resolver: testNames})
	defer c.Close()
	for _, u := range hostile {
		err := c.CheckURL(context.Background(), u)
		if !errors.Is(err, ErrUnsafeURL) {
			t.Errorf("CheckURL(%q) = %v", u, err)
			continue
		}
		var e *Error
		if !errors.As(err, &e) || e.Reason == "" || len(err.Error()) > 400 || strings.ContainsAny(err.Error(), "\r\n\t\x00") {
			t.Errorf("CheckURL(%q): bad text %q", u, err)
		}
		if _, err := c.Do(context.Background(), "GET", u, nil, nil); err == nil {
			t.Errorf("Do(%q) passed", u)
		}
	}
}

func TestErrorsHideAddresses(t *testing.T) {
	c := New(Options{Resolver: testNames})
	defer c.Close()
	for u, secret := range map[string]string{
		"http://metadata.internal/x":    "169.254",
		"http://half.example/":          "10.0.0.1",
		"http://user:hunter2@half.com/": "hunter2",
	} {
		err := c.CheckURL(context.Background(), u)
		if err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", u, err)
		}
	}
}

func TestAllowLocal(t *testing.T) {
	for _, c := range []struct {
		url  string
		pass bool
	}{
		{"http://127.0.0.1:9083", true}, {"http://localhost", true}, {"http://[::1]:1", true}, {"http://10.1.2.3", true},
		{"http://172.20.0.2", true}, {"http://192.168.1.1", true}, {"http://[fd12::1]", true}, {"http://half.example", true},
		{"http://[::ffff:127.0.0.1]", true}, {"http://hub.example", true},
		{"http://169.254.169.254", false}, {"http://[::ffff:169.254.169.254]", false}, {"http://metadata.internal", false},
		{"http://[fd00:ec2::254]", false}, {"http://[fe80::1]", false}, {"http://224.0.0.1", false}, {"http://[ff02::1]", false},
		{"http://0.0.0.0", false}, {"http://[::]", false}, {"http://255.255.255.255", false}, {"http://100.100.100.200", false},
		{"http://[::127.0.0.1]", false}, {"http://[2002:7f00:1::]", false}, {"http://127.1", false}, {"http://user@127.0.0.1", false},
	} {
		client := New(Options{AllowLocal: true, Resolver: testNames})
		err := client.CheckURL(context.Background(), c.url)
		client.Close()
		if (err == nil) != c.pass {
			t.Errorf("%s: %v", c.url, err)
		}
	}
}

func TestAllowHosts(t *testing.T) {
	c := New(Options{AllowHosts: []string{"LocalHost:8080", "10.0.0.1:80", "[::1]:443", "metadata.internal:80"}, Resolver: testNames})
	defer c.Close()
	for u, pass := range map[string]bool{
		"http://localhost:8080/x": true, "http://LOCALHOST:8080": true, "http://10.0.0.1": true, "http://10.0.0.1:80": true, "https://[::1]/": true,
		"http://localhost": false, "http://localhost:8081": false, "https://10.0.0.1": false, "http://10.0.0.2": false, "http://[::1]/": false,
		"http://127.0.0.1:8080": false, "http://metadata.internal": false, "http://half.example": false,
	} {
		if err := c.CheckURL(context.Background(), u); (err == nil) != pass {
			t.Errorf("%s: %v", u, err)
		}
	}
}

func TestTooManyAddresses(t *testing.T) {
	many := make([]string, maxResolved+1)
	for i := range many {
		many[i] = "93.184.216.34"
	}
	c := New(Options{Resolver: names{"many.example": many}})
	defer c.Close()
	if err := c.CheckURL(context.Background(), "http://many.example"); !errors.Is(err, ErrUnsafeURL) {
		t.Error(err)
	}
}

// Whatever passes the text rules is a plain host and port, the same that net/url
// hands to the transport, and an address among them is in its plain form.
func FuzzParseURL(f *testing.F) {
	for _, u := range hostile {
		f.Add(u)
	}
	f.Add("https://hub.example:8443/a?b#c")
	f.Fuzz(func(t *testing.T, raw string) {
		target, reason := parseURL(raw)
		if (target == nil) == (reason == "") {
			t.Fatal("a refusal without a reason")
		}
		if target == nil {
			return
		}
		if strings.ContainsAny(raw, "\r\n\t \x00\\") || strings.ContainsAny(target.host, "@%/?#[] ") || target.url.User != nil {
			t.Errorf("%q: host %q", raw, target.host)
		}
		if !strings.EqualFold(target.url.Hostname(), target.host) {
			t.Errorf("%q: host %q, net/url has %q", raw, target.host, target.url.Hostname())
		}
		if a, err := netip.ParseAddr(target.host); (err == nil) != target.addr.IsValid() || err == nil && a != target.addr {
			t.Errorf("%q: address %v, host %q", raw, target.addr, target.host)
		}
		if len(target.url.String()) > MaxURLBytes {
			return // escaping made it longer
		}
		if again, reason := parseURL(target.url.String()); reason != "" || again.hostPort() != target.hostPort() {
			t.Errorf("%q printed as %q: %s", raw, target.url, reason)
		}
	})
}
