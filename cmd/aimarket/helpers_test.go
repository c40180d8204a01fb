package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/aimarket/aimarket/httpapi/client"
)

func replaceFirst(s, from, to string) string { return strings.Replace(s, from, to, 1) }

// post sends args[2] ("@-" ten megabytes) to args[1] and expects the status
// args[0]; further args are "Header: value".
func post(answer string, args []string) error {
	want, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	body := args[2]
	if body == "@10MB" {
		body = `{"input":{"text":"` + strings.Repeat("a", 10<<20) + `"}}`
	}
	req, err := http.NewRequest(http.MethodPost, args[1], strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	for _, h := range args[3:] {
		name, value, _ := strings.Cut(h, ":")
		req.Header.Set(name, strings.TrimSpace(value))
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if err := os.WriteFile(answer, raw, 0o600); err != nil {
		return err
	}
	if resp.StatusCode != want {
		return fmt.Errorf("HTTP %d, want %d: %s", resp.StatusCode, want, raw)
	}
	return nil
}

// joinAddress is the first multiaddr in a hub's discovery document.
func joinAddress(hub string) (string, error) {
	c, err := client.New(hub, client.Options{})
	if err != nil {
		return "", err
	}
	defer c.Close()
	raw, err := c.Discovery(context.Background())
	if err != nil {
		return "", err
	}
	var d struct {
		Multiaddrs []string `json:"multiaddrs"`
	}
	if err := json.Unmarshal(raw, &d); err != nil {
		return "", err
	}
	if len(d.Multiaddrs) == 0 {
		return "", errors.New("the hub names no multiaddr")
	}
	return d.Multiaddrs[0], nil
}

// eventually polls another process, of which nothing else can tell when it is done.
func eventually(output func() (string, error), pattern string, want bool) error {
	re, err := regexp.Compile("(?m)" + pattern)
	if err != nil {
		return err
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		text, err := output()
		if err == nil && re.MatchString(text) == want {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("not within 30 s: %q is %v in (%v)\n%s", pattern, want, err, text)
		}
	}
}
