package store

// Metrics is a reading of the database for Prometheus. Sizes are bytes; counters
// start at Open.
type Metrics struct {
	DiskBytes     int64  // all files
	WALBytes      int64  // live data in the write-ahead log
	LogBytes      int64  // counter: bytes given to the write-ahead log
	MemTableBytes int64  // writes held in memory, flushed and not
	CacheBytes    int64  // block cache
	CacheHits     int64  // counter
	CacheMisses   int64  // counter
	Commits       uint64 // counter: batches applied
	Flushes       int64  // counter
	Compactions   int64  // counter
	Stalls        uint64 // counter: times writers waited for the disk to catch up
	ReadAmp       int    // files that one read may have to look at
	Failed        bool   // see DB.Failed
}

// Metrics reads the counters. It takes Pebble's lock briefly: once per scrape,
// not per request. A closed database has none.
func (db *DB) Metrics() Metrics {
	if db.enter() != nil {
		return Metrics{}
	}
	defer db.leave()
	m := db.p.Metrics()
	return Metrics{
		DiskBytes:     int64(m.DiskSpaceUsage()),
		WALBytes:      int64(m.WAL.Size),
		LogBytes:      int64(m.WAL.BytesIn),
		MemTableBytes: int64(m.MemTable.Size + m.MemTable.ZombieSize),
		CacheBytes:    m.BlockCache.Size,
		CacheHits:     m.BlockCache.Hits,
		CacheMisses:   m.BlockCache.Misses,
		Commits:       db.commits.Load(),
		Flushes:       m.Flush.Count,
		Compactions:   m.Compact.Count,
		Stalls:        db.stalls.Load(),
		ReadAmp:       m.ReadAmp(),
		Failed:        db.failed.Load() != nil,
	}
}

// SizeBytes is the disk space the database takes.
func (db *DB) SizeBytes() int64 { return db.Metrics().DiskBytes }
