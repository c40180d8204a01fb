package node

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/aimarket/aimarket/httpapi/client"
	"github.com/aimarket/aimarket/internal/canon"
	"github.com/aimarket/aimarket/internal/identity"
	"github.com/aimarket/aimarket/internal/store"
	"github.com/aimarket/aimarket/ledger"
)

// A backup made while calls are paid is whole: its books balance, and who restores
// it goes on as the same hub, with the same channels, secrets and answers.
func TestBackupUnderPaidLoad(t *testing.T) {
	dir, copied := t.TempDir(), filepath.Join(t.TempDir(), "backup")
	h := start(t, testConfig(dir))
	const buyers = 4
	channels := make([]client.Channel, buyers)
	first := make([]client.Outcome, buyers)
	var load sync.WaitGroup
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	paidSome := make(chan struct{}, buyers)
	for i := range buyers {
		channels[i] = h.open("10")
		first[i] = h.echo(channels[i], fmt.Sprint("first-", i))
		load.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				if _, err := h.invoke(channels[i], "aimarket.text", "echo@v1", fmt.Sprintf("load-%d-%d", i, n)); err != nil {
					t.Error(err)
					return
				}
				if n == 20 {
					paidSome <- struct{}{}
				}
			}
		})
	}
	for range buyers {
		<-paidSome
	}
	if err := h.Backup(t.Context(), copied); err != nil {
		t.Fatal(err)
	}
	stop()
	load.Wait()
	key := h.PublicKey()
	h.mustStop()
	checkFolder(t, dir)
	report := checkFolder(t, copied)
	if report.Receipts < 21*buyers {
		t.Errorf("%d receipts in the copy, want those of all calls answered before it began", report.Receipts)
	}
	for _, path := range []string{copied, filepath.Join(copied, databaseFolder)} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v, %v", path, info, err)
		}
	}

	restored := filepath.Join(t.TempDir(), "new", "data")
	if _, err := Restore(t.Context(), copied, restored); err != nil {
		t.Fatal(err)
	}
	checkFolder(t, restored)
	h = start(t, testConfig(restored))
	if h.PublicKey() != key {
		t.Error("the restored hub is another")
	}
	pub, err := identity.ParsePublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for i, ch := range channels {
		again := h.echo(ch, fmt.Sprint("first-", i))
		if !bytes.Equal(again.Raw.Raw, first[i].Raw.Raw) {
			t.Errorf("answer %s became %s", first[i].Raw.Raw, again.Raw.Raw)
		}
		var r struct{ Nonce string }
		if err := json.Unmarshal(again.Receipt, &r); err != nil {
			t.Fatal(err)
		}
		kept, err := h.client.Receipt(t.Context(), r.Nonce)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ledger.VerifyReceipt(kept, pub); err != nil {
			t.Errorf("receipt %s: %v", kept, err)
		}
		h.echo(ch, "after") // the secret works
	}
	h.mustStop()
	checkFolder(t, restored)
}

// paidFolder is a stopped hub's folder with one open channel and one receipt.
func paidFolder(t *testing.T) (dir string, ch client.Channel) {
	t.Helper()
	dir = t.TempDir()
	h := start(t, testConfig(dir))
	ch = h.open("5")
	h.echo(ch, "")
	h.mustStop()
	return dir, ch
}

func TestBackupOfAStoppedHub(t *testing.T) {
	dir, _ := paidFolder(t)
	before := listing(t, dir)
	copied := filepath.Join(t.TempDir(), "backup")
	if err := BackupStopped(t.Context(), dir, "", copied); err != nil {
		t.Fatal(err)
	}
	if r := checkFolder(t, copied); r.Receipts != 1 || r.Open != 1 {
		t.Errorf("%+v", r)
	}
	if after := listing(t, dir); after != before {
		t.Errorf("the folder was changed from\n%s\nto\n%s", before, after)
	}
	want, _ := os.ReadFile(filepath.Join(dir, keyFile))
	if got, err := os.ReadFile(filepath.Join(copied, keyFile)); err != nil || !bytes.Equal(got, want) {
		t.Errorf("the copy's key: %v", err)
	}
	// A key kept elsewhere is copied from there.
	elsewhere := filepath.Join(t.TempDir(), "key")
	if err := os.Rename(filepath.Join(dir, keyFile), elsewhere); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(t.TempDir(), "backup")
	if err := BackupStopped(t.Context(), dir, "", other); err == nil || !strings.Contains(err.Error(), "hub's key") {
		t.Errorf("without a key: %v", err)
	}
	assertAbsent(t, other, other+".partial")
	if err := BackupStopped(t.Context(), dir, elsewhere, other); err != nil {
		t.Error(err)
	}
	checkFolder(t, other)
}

// listing is every file of a folder with its size.
func listing(t *testing.T, dir string) string {
	t.Helper()
	var s strings.Builder
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err == nil && !info.IsDir() && info.Name() != "LOCK" {
			fmt.Fprintln(&s, strings.TrimPrefix(path, dir), info.Size(), info.ModTime().UnixNano())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return s.String()
}

func assertAbsent(t *testing.T, paths ...string) {
	t.Helper()
	for _, p := range paths {
		if _, err := os.Stat(p); err == nil {
			t.Errorf("%s is there", p)
		}
	}
}

func TestNothingIsOverwritten(t *testing.T) {
	dir, _ := paidFolder(t)
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "mine"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(full, "mine")
	if err := BackupStopped(t.Context(), dir, "", full); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("backup: %v", err)
	}
	if _, err := Restore(t.Context(), dir, full); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("restore: %v", err)
	}
	if err := BackupStopped(t.Context(), dir, "", file); err == nil {
		t.Error("a backup replaced a file")
	}
	h := start(t, testConfig(dir))
	if err := h.Backup(t.Context(), full); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("running backup: %v", err)
	}
	if err := h.Backup(t.Context(), filepath.Join(dir, databaseFolder, "x")); err == nil {
		t.Error("a backup went into the database")
	}
	h.echo(h.open("1"), "")
	h.mustStop()
	if entries, err := os.ReadDir(full); err != nil || len(entries) != 1 {
		t.Errorf("%v, %v", entries, err)
	}
	checkFolder(t, dir)
}

// Books that do not balance are not put back into service.
func TestRestoreRefusesBrokenBooks(t *testing.T) {
	dir, ch := paidFolder(t)
	loseReceipt(t, dir)
	report, err := Check(t.Context(), dir)
	if err != nil || len(report.Violations) == 0 {
		t.Fatalf("a lost receipt goes unseen: %+v, %v", report, err)
	}
	target := filepath.Join(t.TempDir(), "data")
	_, err = Restore(t.Context(), dir, target)
	if err == nil || !strings.Contains(err.Error(), "breaks 1 invariants") {
		t.Errorf("restore of %s: %v", ch.ID, err)
	}
	assertAbsent(t, target, target+".partial")
}

// loseReceipt drops the one receipt of a stopped hub behind the ledger's back.
func loseReceipt(t *testing.T, dir string) {
	t.Helper()
	db, err := store.Open(filepath.Join(dir, databaseFolder), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	b := db.NewBatch()
	err = db.Scan(nil, nil, func(key, _ []byte) (bool, error) {
		if bytes.Contains(key, []byte("receipt/")) {
			b.Delete(bytes.Clone(key))
		}
		return true, nil
	})
	if b.Len() != 1 {
		t.Errorf("%d receipts to lose, want 1", b.Len())
	}
	if err := errors.Join(err, db.Write(b), db.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestRestoreRefusesABackupWithoutItsKey(t *testing.T) {
	dir, _ := paidFolder(t)
	target := filepath.Join(t.TempDir(), "data")
	for _, breakIt := range []func(string) error{
		func(key string) error { return os.WriteFile(key, []byte("half a key"), 0o600) },
		os.Remove,
	} {
		if err := breakIt(filepath.Join(dir, keyFile)); err != nil {
			t.Fatal(err)
		}
		if _, err := Restore(t.Context(), dir, target); err == nil || !strings.Contains(err.Error(), "key") {
			t.Errorf("restore: %v", err)
		}
		assertAbsent(t, target, target+".partial")
	}
}

// Whatever was left by a copy that a crash cut off is not taken for one, and the
// next attempt clears it away.
func TestACrashInTheMiddleLeavesOnlyPartial(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "copy")
	func() {
		defer func() { _ = recover() }()
		_ = installDir(dir, func(partial string) error {
			if err := os.WriteFile(filepath.Join(partial, keyFile), []byte("half"), 0o600); err != nil {
				t.Error(err)
			}
			panic("power cut")
		})
	}()
	assertAbsent(t, dir)
	if _, err := os.Stat(filepath.Join(dir+".partial", keyFile)); err != nil {
		t.Fatal(err)
	}
	from, _ := paidFolder(t)
	if _, err := Restore(t.Context(), from, dir); err != nil {
		t.Fatal(err)
	}
	assertAbsent(t, dir+".partial")
	checkFolder(t, dir)
}

func TestCopyThatFailsIsRemoved(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "copy")
	full := errors.New("disk full")
	if err := installDir(dir, func(string) error { return full }); !errors.Is(err, full) {
		t.Error(err)
	}
	assertAbsent(t, dir, dir+".partial")
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	from, _ := paidFolder(t)
	if err := BackupStopped(cancelled, from, "", dir); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	assertAbsent(t, dir, dir+".partial")
}

func TestCheckOfWhatIsNoFolder(t *testing.T) {
	dir, _ := paidFolder(t)
	h := start(t, testConfig(dir))
	if _, err := Check(t.Context(), dir); !errors.Is(err, store.ErrLocked) {
		t.Errorf("a running hub's folder: %v", err)
	}
	if err := BackupStopped(t.Context(), dir, "", filepath.Join(t.TempDir(), "x")); !errors.Is(err, store.ErrLocked) {
		t.Errorf("a running hub's folder: %v", err)
	}
	h.mustStop()

	empty := t.TempDir()
	if err := os.Mkdir(filepath.Join(empty, databaseFolder), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, missing := range []string{filepath.Join(empty, "nowhere"), empty} {
		if _, err := Check(t.Context(), missing); err == nil || !strings.Contains(err.Error(), missing) {
			t.Errorf("%s: %v", missing, err)
		}
	}
	if entries, _ := os.ReadDir(filepath.Join(empty, databaseFolder)); len(entries) > 1 {
		t.Errorf("Check made %v", entries)
	}

	for _, name := range corruptTables(t, dir) {
		t.Logf("flipped a byte of %s", name)
	}
	if _, err := Check(t.Context(), dir); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("a corrupt folder: %v", err)
	}
	if _, err := Restore(t.Context(), dir, filepath.Join(t.TempDir(), "x")); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("restore of a corrupt folder: %v", err)
	}
	if n, err := New(t.Context(), testConfig(dir)); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("start on a corrupt folder: %v", err)
		if n != nil {
			_ = n.Close(t.Context())
		}
	}
}

// corruptTables flips a byte in the first block of every table.
func corruptTables(t *testing.T, dir string) []string {
	t.Helper()
	tables, err := filepath.Glob(filepath.Join(dir, databaseFolder, "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatalf("no table to corrupt: %v, %s", err, listing(t, dir))
	}
	for _, name := range tables {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		raw[10] ^= 0x40 // in the first block of data
		if err := os.WriteFile(name, raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return tables
}

// A receipt outlives its hub: anybody checks it with the key alone.
func TestReceiptOfACopyVerifiesOffline(t *testing.T) {
	dir := t.TempDir()
	h := start(t, testConfig(dir))
	o := h.echo(h.open("1"), "")
	key := h.PublicKey()
	h.mustStop()
	doc, err := canon.Parse(o.Receipt)
	if err != nil {
		t.Fatal(err)
	}
	msg, _, _, err := canon.ReceiptMessage(doc)
	if err != nil {
		t.Fatal(err)
	}
	pub, err := identity.ParsePublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := identity.VerifyBase64(pub, msg, doc.Get("signature").Get("value").Str()); err != nil {
		t.Error(err)
	}
}

// A folder that is made on the way is on disk before anything in it counts.
func TestMakeFolderSurvivesAPowerCut(t *testing.T) {
	mem := vfs.NewCrashableMem()
	if err := makeFolder(mem, "/a/b/c"); err != nil {
		t.Fatal(err)
	}
	if err := mem.MkdirAll("/x/y", 0o700); err != nil {
		t.Fatal(err)
	}
	left := mem.CrashClone(vfs.CrashCloneCfg{})
	if _, err := left.Stat("/a/b/c"); err != nil {
		t.Error(err)
	}
	if _, err := left.Stat("/x"); err == nil {
		t.Error("this file system keeps every folder, so the test proves nothing")
	}
}
