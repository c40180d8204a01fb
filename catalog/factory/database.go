package factory

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

// databaseTimeout bounds the whole reading of the database, which may be locked by
// its factory, or hold a view that never ends.
const databaseTimeout = 10 * time.Second

// lockPatience is how long SQLite waits for the factory to finish a write, in ms.
const lockPatience = "2000"

// readDatabase reads the table products. Every id of the table is in the answer,
// sold or not, because the table's word counts more than that of pipeline.json.
func readDatabase(ctx context.Context, o Options, r *Report) (map[string]product, error) {
	path := o.SQLitePath
	if path == "" {
		path = filepath.Join(o.Root, "state", "pipeline.db")
	}
	what := "database " + path
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if o.SQLitePath != "" {
			r.lose(what, errors.New("is not there; correct SQLITE_PATH or leave it out"))
		}
		return map[string]product{}, nil
	case err == nil && !info.Mode().IsRegular():
		err = errors.New("is no file")
	}
	if err != nil {
		r.lose(what, err)
		return map[string]product{}, nil
	}
	inner, stop := context.WithTimeout(ctx, databaseTimeout)
	defer stop()
	byID, err := queryProducts(inner, path, r)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		r.lose(what, err)
	}
	return byID, nil
}

// queryProducts returns what it could read, also when it fails half-way.
func queryProducts(ctx context.Context, path string, r *Report) (byID map[string]product, err error) {
	byID = map[string]product{}
	db, err := sql.Open("sqlite", readOnly(path))
	if err != nil {
		return byID, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	query, err := productQuery(ctx, db)
	if err != nil {
		return byID, err
	}
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return byID, err
	}
	defer rows.Close()
	for n := 0; rows.Next(); n++ {
		if n == MaxProducts {
			return byID, fmt.Errorf("has more than %d products; the rest is left out", MaxProducts)
		}
		var id, idea, state, category, spec sql.NullString
		if err := rows.Scan(&id, &idea, &state, &category, &spec); err != nil {
			return byID, err
		}
		if err := checkID(id.String); err != nil {
			if sold(state.String) {
				r.skip(fmt.Sprintf("product %q of the database", clip(id.String)), err)
			}
			continue
		}
		byID[id.String] = product{id: id.String, idea: idea.String, category: category.String, spec: []byte(spec.String), sold: sold(state.String)}
	}
	return byID, rows.Err()
}

// readOnly is the data source name: read-only, nothing in the file may run code of
// the file's own, damaged pages are found instead of followed.
func readOnly(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	q := url.Values{"mode": {"ro"}, "_pragma": {
		"busy_timeout(" + lockPatience + ")", "query_only(1)", "trusted_schema(0)", "cell_size_check(1)",
	}}
	return (&url.URL{Scheme: "file", Path: filepath.ToSlash(path), RawQuery: q.Encode()}).String()
}

// productQuery asks for the columns that are there. Lengths are cut inside SQLite,
// so that no value is read that is larger than its bound.
func productQuery(ctx context.Context, db *sql.DB) (string, error) {
	rows, err := db.QueryContext(ctx, `SELECT lower(name) FROM pragma_table_info('products')`)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	have := map[string]bool{}
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return "", err
		}
		have[name] = true
	}
	if err := rows.Err(); err != nil {
		return "", err
	}
	if !have["id"] || !have["state"] {
		return "", errors.New("has no table products with the columns id and state; is it a factory's?")
	}
	text := func(column string, most int) string {
		if !have[column] {
			return "NULL"
		}
		return fmt.Sprintf("substr(CAST(%s AS TEXT), 1, %d)", column, most)
	}
	// One character more than allowed shows that a value is too long.
	return "SELECT " + strings.Join([]string{
		text("id", maxIDRead), text("idea", maxIdeaLen), text("state", maxIDRead), text("category", maxIDRead), text("spec", maxSpecLen+1),
	}, ", ") + fmt.Sprintf(" FROM products ORDER BY id LIMIT %d", MaxProducts+1), nil
}

// maxIDRead is how many characters of a short column are read: more than is valid.
const maxIDRead = 256
