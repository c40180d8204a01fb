package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
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
