package bench

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/catalog/index"
	"github.com/aimarket/aimarket/internal/identity"
	"github.com/aimarket/aimarket/internal/store"
)

const (
	intakeTools   = catalog.MaxListed
	intakeRuns    = 5  // a round, each on a fresh catalogue
	intakeChanges = 20 // after each
	intakeRows    = 3  // rows that one tool writes: itself as its owner printed it, the listed row, its name
)

// shelf is a catalogue of its own in a folder of its own.
type shelf struct {
	*catalog.Catalog
	db  *store.DB
	dir string
}

func openShelf(ctx context.Context, o Options, url string) (*shelf, error) {
	dir, err := os.MkdirTemp(o.Dir, "intake-")
	if err != nil {
		return nil, err
	}
	db, err := store.Open(filepath.Join(dir, "db"), store.Options{})
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	key, _, err := identity.LoadOrCreate(filepath.Join(dir, "hub_signing_key"), rand.Reader)
	if err != nil {
		return nil, errors.Join(err, db.Close(), os.RemoveAll(dir))
	}
	c, err := catalog.Open(ctx, catalog.Config{Store: db, Signer: key, URLs: anyURL{}, Now: time.Now,
		HubURL: url, HubName: "bench", MinTrust: 0.3, RoutingFeeBps: 100, Admission: catalog.AdmitAll})
	if err != nil {
		return nil, errors.Join(err, db.Close(), os.RemoveAll(dir))
	}
	return &shelf{c, db, dir}, nil
}

func (s *shelf) close() error {
	return errors.Join(s.Catalog.Close(), s.db.Close(), os.RemoveAll(s.dir))
}

// updates are a whole listing and changes of one tool each to it, as its owner signs them.
func updates(ctx context.Context, o Options) (whole []byte, changes [][]byte, rows []catalog.Capability, err error) {
	owner, err := openShelf(ctx, o, "https://owner.example")
	if err != nil {
		return nil, nil, nil, err
	}
	defer func() { err = errors.Join(err, owner.close()) }()
	rows = capabilities(market(intakeTools), 0, intakeTools)
	for i := range rows {
		rows[i].SourceHub = catalog.Local
	}
	if err := owner.Put(ctx, rows); err != nil {
		return nil, nil, nil, err
	}
	u, err := owner.NextUpdate(ctx, true)
	if err != nil {
		return nil, nil, nil, err
	}
	if u == nil || len(u.Tools) != intakeTools {
		return nil, nil, nil, errors.New("the owner's first update does not hold its whole listing")
	}
	for i := range intakeChanges {
		row := rows[i*intakeTools/intakeChanges]
		row.PriceMicros += 1000
		row.RoutedMicros = row.PriceMicros
		if err := owner.Put(ctx, []catalog.Capability{row}); err != nil {
			return nil, nil, nil, err
		}
		change, err := owner.NextUpdate(ctx, false)
		if err != nil {
			return nil, nil, nil, err
		}
		if change == nil || len(change.Tools) != 1 {
			return nil, nil, nil, errors.New("a change of one tool is not an update of one tool")
		}
		changes = append(changes, change.Raw())
	}
	return u.Raw(), changes, rows, nil
}

// take hands an update to the intake as it comes from the wire.
func (s *shelf) take(ctx context.Context, raw []byte) (time.Duration, error) {
	began := time.Now()
	u, err := catalog.ParseUpdate(raw)
	if err != nil {
		return 0, err
	}
	in := s.TakeUpdate(ctx, u, catalog.Source{Via: catalog.ViaStream, Peer: "bench"})
	took := time.Since(began)
	if in.Verdict != catalog.Accept || !in.Changed || len(in.Dropped) > 0 {
		return 0, fmt.Errorf("the intake did not take the listing: %s: %s (%d tools dropped)", in.Reason, in.Detail, len(in.Dropped))
	}
	return took, nil
}

func intake(ctx context.Context, o Options) (_ []Result, err error) {
	whole, changes, rows, err := updates(ctx, o)
	if err != nil {
		return nil, err
	}
	var all, one, verify, batch, indexed []time.Duration
	var written int64
	for round := range o.Rounds {
		o.Say(fmt.Sprintf("intake round %d of %d", round+1, o.Rounds))
		for range intakeRuns {
			s, err := openShelf(ctx, o, "https://reader.example")
			if err != nil {
				return nil, err
			}
			before := s.db.Metrics().LogBytes
			took, err := s.take(ctx, whole)
			if err != nil {
				return nil, errors.Join(err, s.close())
			}
			written = s.db.Metrics().LogBytes - before
			all = append(all, took)
			for _, raw := range changes {
				if took, err = s.take(ctx, raw); err != nil {
					return nil, errors.Join(err, s.close())
				}
				one = append(one, took)
			}
			if err := s.close(); err != nil {
				return nil, err
			}
			for _, f := range []struct {
				into *[]time.Duration
				run  func() (time.Duration, error)
			}{
				{&verify, func() (time.Duration, error) { return bareVerify(whole) }},
				{&batch, func() (time.Duration, error) { return bareBatch(o, int(written)) }},
				{&indexed, func() (time.Duration, error) { return bareIndex(rows) }},
			} {
				took, err := f.run()
				if err != nil {
					return nil, err
				}
				*f.into = append(*f.into, took)
			}
		}
	}
	took := quantile(all, .5)
	v, b, x := quantile(verify, .5), quantile(batch, .5), quantile(indexed, .5)
	rate := func(d time.Duration) float64 { return intakeTools / d.Seconds() }
	return []Result{
		atLeast("intake", rate(took), rate(v+b+x), "tools/s", 0.5, fmt.Sprintf(
			"a listing of %d tools, %d KiB, in %.1f ms; floor: SHA-256 of the tools and one Ed25519 signature %.1f ms, one Pebble batch of the same %d KiB %.1f ms, index %.1f ms",
			intakeTools, len(whole)>>10, ms(took), ms(v), written>>10, ms(b), ms(x))),
		atMost("intake_change", ms(quantile(one, .5)), ms(took), "ms", 0.05, "one tool of that listing changed; floor: the whole"),
	}, nil
}

// bareVerify hashes the tools of a listing and verifies one signature. It decodes
// nothing.
func bareVerify(raw []byte) (time.Duration, error) {
	u, err := catalog.ParseUpdate(raw)
	if err != nil {
		return 0, err
	}
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return 0, err
	}
	message := make([]byte, 1<<10)
	signature := ed25519.Sign(private, message)
	began := time.Now()
	sum := sha256.New()
	for _, t := range u.Tools {
		digest := sha256.Sum256(t.Raw)
		sum.Write(digest[:])
	}
	if len(sum.Sum(nil)) != sha256.Size || !ed25519.Verify(public, message, signature) {
		return 0, errors.New("a good signature does not verify")
	}
	return time.Since(began), nil
}

// bareBatch writes as many bytes in as many rows in one batch that waits for no disk,
// as the intake's does not.
func bareBatch(o Options, bytes int) (took time.Duration, err error) {
	dir, err := os.MkdirTemp(o.Dir, "batch-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	db, err := pebble.Open(dir, &pebble.Options{FormatMajorVersion: pebble.FormatNewest, Logger: quiet{}})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	const rows = intakeRows * intakeTools
	value := make([]byte, max(bytes/rows-24, 1))
	_, _ = rand.Read(value)
	began := time.Now()
	b := db.NewBatch()
	for i := range rows {
		if err := b.Set(fmt.Appendf(nil, "%016x", i), value, nil); err != nil {
			return 0, err
		}
	}
	if err := b.Commit(pebble.NoSync); err != nil {
		return 0, err
	}
	return time.Since(began), nil
}

// bareIndex indexes the same rows in an empty index.
func bareIndex(rows []catalog.Capability) (time.Duration, error) {
	list := make([]index.Row, 0, len(rows))
	for _, r := range rows {
		list = append(list, index.Row{Key: index.Key(r.Key), Name: r.Name, ProductName: r.ProductID, Description: r.Description,
			Numbers: index.Numbers{PriceMicros: r.PriceMicros, Trust: r.TrustScore, SuccessRate: r.SuccessRate30d, LatencyMS: r.P50LatencyMS}})
	}
	builder := index.NewBuilder(index.Options{})
	x, err := builder.Index()
	if err != nil {
		return 0, err
	}
	began := time.Now()
	if err := x.Put(list...); err != nil {
		return 0, err
	}
	return time.Since(began), nil
}
