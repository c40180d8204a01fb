package node

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFolderBelongsToOneKey: a lost or exchanged key file stops the start, and only
// the operator's word makes the folder another hub's.
func TestFolderBelongsToOneKey(t *testing.T) {
	dir, _ := paidFolder(t)
	key := filepath.Join(dir, keyFile)
	refused := func(want string) {
		t.Helper()
		n, err := New(t.Context(), testConfig(dir))
		if err == nil {
			n.Close(t.Context())
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Fatalf("started: %v", err)
		}
	}
	if err := os.Rename(key, key+".away"); err != nil {
		t.Fatal(err)
	}
	refused("is missing")
	if _, err := os.Stat(key); err == nil {
		t.Fatal("the refused start made a key")
	}

	c := testConfig(filepath.Join(t.TempDir(), "other"))
	start(t, c).mustStop()
	other, err := os.ReadFile(filepath.Join(c.DataDir, keyFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(key, other, 0o600); err != nil {
		t.Fatal(err)
	}
	refused("belongs to the hub with the key")

	c = testConfig(dir)
	c.AcceptNewKey = true
	start(t, c).mustStop()
	start(t, testConfig(dir)).mustStop() // from now on it is this key's

	if err := os.Rename(key+".away", key); err != nil {
		t.Fatal(err)
	}
	refused("belongs to the hub with the key")
}
