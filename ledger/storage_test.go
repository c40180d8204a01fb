package ledger_test

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/aimarket/aimarket/ledger"
	"github.com/aimarket/aimarket/ledger/storagetest"
)

func TestMemoryStorage(t *testing.T) {
	storagetest.Run(t, func(*testing.T) ledger.Storage { return storagetest.NewMemory() })
}

func TestPebbleStorage(t *testing.T) {
	storagetest.Run(t, func(t *testing.T) ledger.Storage {
		return ledger.NewPebbleStorage(openDB(t, vfs.NewMem()))
	})
}
