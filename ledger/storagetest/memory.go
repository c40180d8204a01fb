package storagetest

import (
	"bytes"
	"context"
	"slices"
	"sort"
	"strings"
	"sync"

	"github.com/aimarket/aimarket/ledger"
)

// Memory is a ledger.Storage that forgets everything with the process: for tests
// of what stands on a ledger. Its zero value is empty and ready. Several ledgers
// may share one, as several processes share a database.
type Memory struct {
	mu   sync.Mutex
	rows map[string][]byte
}

// NewMemory returns an empty Memory.
func NewMemory() *Memory { return new(Memory) }

// Get implements ledger.Storage.
func (m *Memory) Get(_ context.Context, key []byte) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok := m.rows[string(key)]
	if !ok {
		return nil, ledger.ErrNotFound
	}
	return bytes.Clone(v), nil
}

// Scan implements ledger.Storage.
func (m *Memory) Scan(_ context.Context, prefix, from []byte, fn func(key, value []byte) (bool, error)) error {
	m.mu.Lock()
	var rows []ledger.Row
	for k, v := range m.rows {
		if strings.HasPrefix(k, string(prefix)) && (from == nil || k >= string(from)) {
			rows = append(rows, ledger.Row{Key: []byte(k), Value: v})
		}
	}
	m.mu.Unlock()
	sort.Slice(rows, func(i, j int) bool { return bytes.Compare(rows[i].Key, rows[j].Key) < 0 })
	for _, r := range rows {
		if more, err := fn(r.Key, bytes.Clone(r.Value)); err != nil || !more {
			return err
		}
	}
	return nil
}

// Apply implements ledger.Storage; its wait returns at once.
func (m *Memory) Apply(_ context.Context, b ledger.Batch) (func() error, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range b.Expect {
		v, ok := m.rows[string(e.Key)]
		if ok != (e.Value != nil) || ok && !bytes.Equal(v, e.Value) {
			return nil, ledger.ErrConflict
		}
	}
	if m.rows == nil {
		m.rows = make(map[string][]byte)
	}
	for _, r := range b.Put {
		m.rows[string(r.Key)] = append(make([]byte, 0, len(r.Value)), r.Value...)
	}
	for _, key := range b.Delete {
		delete(m.rows, string(key))
	}
	return func() error { return nil }, nil
}

// Rows returns a copy of all rows in key order: for tests that damage them.
func (m *Memory) Rows() []ledger.Row {
	m.mu.Lock()
	defer m.mu.Unlock()
	rows := make([]ledger.Row, 0, len(m.rows))
	for k, v := range m.rows {
		rows = append(rows, ledger.Row{Key: []byte(k), Value: bytes.Clone(v)})
	}
	slices.SortFunc(rows, func(a, b ledger.Row) int { return bytes.Compare(a.Key, b.Key) })
	return rows
}
