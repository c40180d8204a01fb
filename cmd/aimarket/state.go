package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"path/filepath"
	"syscall"

	"github.com/aimarket/aimarket/internal/store"
	"github.com/aimarket/aimarket/ledger"
	"github.com/aimarket/aimarket/node"
)

type checkCmd struct {
	Data string `help:"The hub's data folder." default:"./data" env:"AIMARKET_DATA" type:"path"`
}

// Help is shown by aimarket check --help.
func (checkCmd) Help() string {
	return `Reads every money row of a stopped or crashed hub and verifies the protocol's thirteen invariants: that each
balance follows from the journal, that nothing was billed twice or without its receipt, that holds, obligations and
totals agree. It changes nothing. Exit 0 only if every invariant holds, 1 if one does not, 2 if the folder cannot be read.`
}

// Run checks the folder.
func (c checkCmd) Run(e *env) error {
	report, err := node.Check(e.ctx, c.Data)
	if err != nil {
		return unreadable(err)
	}
	if e.json {
		if err := e.printJSON(checkOutcome(report)); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(e.out, "%d channels (%d open), %d holds, %d journal entries, %d receipts, %d obligations\n",
			report.Channels, report.Open, report.Holds, report.Entries, report.Receipts, report.Obligations)
		for _, v := range report.Violations {
			fmt.Fprintf(e.out, "invariant %d broken by %s: %s\n", v.Invariant, printable(v.Subject), printable(v.Detail))
		}
	}
	if n := len(report.Violations); n > 0 {
		return fmt.Errorf("%d violations: keep this folder as it is and restore from a backup", n)
	}
	if !e.json {
		fmt.Fprintln(e.out, "every invariant holds")
	}
	return nil
}

// outcome is a report for programs.
type outcome struct {
	Holds       bool        `json:"every_invariant_holds"`
	Channels    int64       `json:"channels"`
	Open        int64       `json:"channels_open"`
	Held        int64       `json:"holds"`
	Entries     int64       `json:"journal_entries"`
	Receipts    int64       `json:"receipts"`
	Obligations int64       `json:"obligations"`
	Violations  []violation `json:"violations"`
	Truncated   bool        `json:"violations_truncated"`
}

type violation struct {
	Invariant int    `json:"invariant"`
	Subject   string `json:"subject"`
	Detail    string `json:"detail"`
}

func checkOutcome(r ledger.Report) outcome {
	o := outcome{len(r.Violations) == 0, r.Channels, r.Open, r.Holds, r.Entries, r.Receipts, r.Obligations, []violation{}, r.Truncated}
	for _, v := range r.Violations {
		o.Violations = append(o.Violations, violation(v))
	}
	return o
}

type backupCmd struct {
	To    string `arg:"" help:"Folder to write the copy to; it must not exist or be empty." type:"path"`
	Data  string `help:"The hub's data folder." default:"./data" env:"AIMARKET_DATA" type:"path"`
	Admin string `help:"Where the running hub listens for its operator, as given to serve." name:"admin-listen" default:"unix" env:"AIMARKET_ADMIN_LISTEN"`
	Key   string `help:"The hub's key file, if it is not in the data folder; for a stopped hub." name:"signing-key-path" env:"AIMARKET_SIGNING_KEY_PATH" type:"path" placeholder:"FILE"`
}

// Help is shown by aimarket backup --help.
func (backupCmd) Help() string {
	return `Asks the running hub, over the socket in its data folder, for a consistent copy; a stopped hub's folder is copied
directly. The copy holds the hub's private key: keep it secret.

Example:
  aimarket backup /backups/hub-$(date +%F) --data /var/lib/aimarket`
}

// Run makes the backup.
func (c backupCmd) Run(e *env) error {
	err := c.askRunningHub(e.ctx)
	if errors.Is(err, errNotRunning) {
		err = node.BackupStopped(e.ctx, c.Data, c.Key, c.To)
		if errors.Is(err, store.ErrLocked) {
			err = fmt.Errorf("no hub answers at --admin-listen %s, and the folder cannot be copied meanwhile: %w", c.Admin, err)
		}
	}
	if err != nil {
		return err
	}
	if e.json {
		return e.printJSON(map[string]string{"backup": c.To})
	}
	fmt.Fprintf(e.out, "backup written to %s\n", c.To)
	return nil
}

var errNotRunning = errors.New("no hub answers there")

// admin is the operator's address of a running hub.
func (c backupCmd) admin() (network, address string, err error) {
	switch c.Admin {
	case "", "off":
		return "", "", errNotRunning
	case "unix":
		address, err = node.AdminSocket(c.Data)
		if err != nil {
			err = errors.Join(errNotRunning, err) // no hub could listen there either
		}
		return "unix", address, err
	}
	return "tcp", c.Admin, nil
}

func (c backupCmd) askRunningHub(ctx context.Context) error {
	network, address, err := c.admin()
	if err != nil {
		return err
	}
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return errNotRunning
	}
	if err != nil {
		return fmt.Errorf("asking the running hub for a backup: %w", err)
	}
	defer conn.Close()
	hub := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(context.Context, string, string) (net.Conn, error) { return conn, nil },
	}}
	to, err := filepath.Abs(c.To)
	if err != nil {
		return err
	}
	body, _ := json.Marshal(map[string]string{"dir": to})
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://admin/backup", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := hub.Do(req)
	if err != nil {
		return fmt.Errorf("asking the running hub for a backup: %w", err)
	}
	defer resp.Body.Close()
	answer, err := readLimited(resp.Body, maxDocument)
	if err != nil {
		return fmt.Errorf("asking the running hub for a backup: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		var said struct{ Detail string }
		if json.Unmarshal(answer, &said); said.Detail == "" {
			said.Detail = string(bytes.TrimSpace(answer))
		}
		return fmt.Errorf("the hub could not make the backup: %s", said.Detail)
	}
	return nil
}

type restoreCmd struct {
	From string `arg:"" help:"A backup folder." type:"existingdir"`
	Data string `help:"Data folder to restore into; it must not exist or be empty." default:"./data" env:"AIMARKET_DATA" type:"path"`
}

// Help is shown by aimarket restore --help.
func (restoreCmd) Help() string {
	return `Checks the backup's books first and restores only if every invariant holds.

Example:
  aimarket restore /backups/hub-2026-11-24 --data ./data && aimarket serve --data ./data`
}

// Run restores the backup.
func (c restoreCmd) Run(e *env) error {
	report, err := node.Restore(e.ctx, c.From, c.Data)
	if err != nil {
		return err
	}
	if e.json {
		return e.printJSON(map[string]any{"restored": c.Data, "check": checkOutcome(report)})
	}
	fmt.Fprintf(e.out, "restored %s: %d channels, %d receipts, every invariant holds\n", c.Data, report.Channels, report.Receipts)
	return nil
}
