package node

import (
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aimarket/aimarket/internal/identity"
	"github.com/aimarket/aimarket/internal/store"
)

func publicAt(t *testing.T, path string) string {
	t.Helper()
	public, err := publicOf(path)
	if err != nil {
		t.Fatal(err)
	}
	return public
}

// TestRotateKey: the folder is the next key's, its heads name the former one with that
// key's word, and the money is as it was.
func TestRotateKey(t *testing.T) {
	dir, ch := paidFolder(t)
	key := filepath.Join(dir, keyFile)
	first := publicAt(t, key)
	former := first
	for range 2 {
		r, err := RotateKey(t.Context(), dir, "")
		if err != nil {
			t.Fatal(err)
		}
		if r.Former != former || r.Next == former || publicAt(t, key) != r.Next || publicAt(t, r.FormerFile) != former {
			t.Fatalf("%+v; the file holds %s", r, publicAt(t, key))
		}
		h := start(t, testConfig(dir))
		u, err := h.catalog.NextUpdate(t.Context(), true)
		if err != nil || u == nil {
			t.Fatal(u, err)
		}
		if s := u.Head.Succeeds; s == nil || s.PublicKey != former || u.Head.PublicKey.String() != r.Next {
			t.Fatalf("the head succeeds %+v", s)
		}
		h.echo(ch, "") // the channel and its secret count as before
		h.mustStop()
		if r := checkFolder(t, dir); len(r.Violations) > 0 || r.Open != 1 {
			t.Fatalf("%+v", r)
		}
		former = r.Next
	}
	if err := BackupStopped(t.Context(), dir, "", filepath.Join(t.TempDir(), "backup")); err != nil {
		t.Fatal(err)
	}
}

// TestRotationCutOff: whatever a crash left, the hub is one of the two, and what was
// decided is finished.
func TestRotationCutOff(t *testing.T) {
	for name, c := range map[string]struct {
		undo func(t *testing.T, key string, r Rotation)
		next bool // whose folder it is then
	}{
		"before the decision": {func(t *testing.T, key string, _ Rotation) {
			if _, _, err := identity.LoadOrCreate(key+nextKey, rand.Reader); err != nil {
				t.Fatal(err)
			}
		}, false},
		"before the former key was kept": {func(t *testing.T, key string, r Rotation) {
			rename(t, key, key+nextKey)
			rename(t, r.FormerFile, key)
		}, true},
		"before the next key was in place": {func(t *testing.T, key string, r Rotation) {
			rename(t, key, key+nextKey)
			if err := os.Link(r.FormerFile, key); err != nil {
				t.Fatal(err)
			}
		}, true},
		"with the former key lost": {func(t *testing.T, key string, r Rotation) {
			rename(t, key, key+nextKey)
			if err := os.Remove(r.FormerFile); err != nil {
				t.Fatal(err)
			}
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			dir, _ := paidFolder(t)
			key := filepath.Join(dir, keyFile)
			var r Rotation
			want := publicAt(t, key)
			if c.next {
				var err error
				if r, err = RotateKey(t.Context(), dir, ""); err != nil {
					t.Fatal(err)
				}
				want = r.Next
			}
			c.undo(t, key, r)
			if c.next && name != "with the former key lost" {
				if err := BackupStopped(t.Context(), dir, "", filepath.Join(t.TempDir(), "backup")); err == nil || !strings.Contains(err.Error(), "being changed") {
					t.Errorf("a backup with the wrong key: %v", err)
				}
			}
			start(t, testConfig(dir)).mustStop()
			if got := publicAt(t, key); got != want {
				t.Errorf("the hub is %s, not %s", got, want)
			}
			r, err := RotateKey(t.Context(), dir, "")
			if err != nil || r.Former != want {
				t.Errorf("%+v, %v", r, err)
			}
			if _, err := os.Stat(key + nextKey); err == nil {
				t.Error("a next key was left")
			}
		})
	}
}

// TestRotationRefused changes nothing.
func TestRotationRefused(t *testing.T) {
	dir, _ := paidFolder(t)
	key := filepath.Join(dir, keyFile)
	h := start(t, testConfig(dir))
	if _, err := RotateKey(t.Context(), dir, ""); !errors.Is(err, store.ErrLocked) {
		t.Errorf("of a running hub: %v", err)
	}
	h.mustStop()
	if _, err := RotateKey(t.Context(), t.TempDir(), ""); err == nil || !strings.Contains(err.Error(), "no hub's data folder") {
		t.Errorf("of no folder: %v", err)
	}
	other := filepath.Join(t.TempDir(), "other")
	if _, err := RotateKey(t.Context(), dir, other); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without a key: %v", err)
	}
	if _, _, err := identity.LoadOrCreate(other, rand.Reader); err != nil {
		t.Fatal(err)
	}
	if _, err := RotateKey(t.Context(), dir, other); err == nil || !strings.Contains(err.Error(), "belongs to the hub") {
		t.Errorf("with another's key: %v", err)
	}
	for _, f := range []string{key + nextKey, other + nextKey} {
		if _, err := os.Stat(f); err == nil {
			t.Errorf("%s was made", f)
		}
	}
	start(t, testConfig(dir)).mustStop()
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}
