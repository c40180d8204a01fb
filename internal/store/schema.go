package store

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// SchemaVersion is the layout of keys and values that this program writes.
const SchemaVersion = 1

// ReservedPrefix begins the keys that belong to the package. They are in no
// Scan, and a batch that touches one is refused.
const ReservedPrefix = "store/"

var schemaKey = []byte(ReservedPrefix + "schema")

const schemaValueVersion = 1

// PutValue returns payload behind the byte that says how to read it. Every value
// in the database has this form.
func PutValue(version byte, payload []byte) []byte {
	v := make([]byte, 1+len(payload))
	v[0] = version
	copy(v[1:], payload)
	return v
}

// SplitValue undoes PutValue. The payload is part of value, not a copy.
func SplitValue(value []byte) (version byte, payload []byte, err error) {
	if len(value) == 0 {
		return 0, nil, fmt.Errorf("%w: a value without its version byte", ErrCorrupt)
	}
	return value[0], value[1:], nil
}

// checkSchema accepts the version this program knows and marks a fresh database
// with it, on disk before Open returns.
func (db *DB) checkSchema() error {
	v, err := db.Get(schemaKey)
	switch {
	case errors.Is(err, ErrNotFound):
		return db.initSchema()
	case err != nil:
		return err
	}
	version, payload, err := SplitValue(v)
	if err != nil || version != schemaValueVersion || len(payload) != 4 {
		return fmt.Errorf("%w: the schema mark in %s is unreadable; it was written by another program or a newer release: use that one, or restore a backup",
			ErrSchema, db.dir)
	}
	switch got := binary.BigEndian.Uint32(payload); {
	case got > SchemaVersion:
		return fmt.Errorf("%w: %s has schema version %d, this program knows up to %d; run the newer release that wrote it, or restore a backup made before the upgrade",
			ErrSchema, db.dir, got, SchemaVersion)
	case got < SchemaVersion:
		return fmt.Errorf("%w: %s has schema version %d, which this program (version %d) cannot upgrade; open it with the release in between first",
			ErrSchema, db.dir, got, SchemaVersion)
	}
	return nil
}

func (db *DB) initSchema() error {
	it, err := db.p.NewIter(nil)
	if err != nil {
		return db.readError("scan", err)
	}
	empty := !it.First()
	if err := it.Close(); err != nil {
		return db.readError("scan", err)
	}
	if !empty {
		return fmt.Errorf("%w: %s holds a database that no hub wrote; give another --data", ErrSchema, db.dir)
	}
	if db.readOnly {
		return fmt.Errorf("%w in %s: it was made but never written to", ErrNoDatabase, db.dir)
	}
	if err := db.p.Set(schemaKey, schemaValue(SchemaVersion), pebble.Sync); err != nil {
		return fmt.Errorf("store: mark the schema of %s: %w", db.dir, err)
	}
	return db.Failed()
}

func schemaValue(version uint32) []byte {
	return PutValue(schemaValueVersion, binary.BigEndian.AppendUint32(nil, version))
}
