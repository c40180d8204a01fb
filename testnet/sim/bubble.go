package sim

import (
	"context"
	"errors"
	"flag"
	"io"
	"os"
	"reflect"
	"testing"
	"testing/synctest"
	"time"
)

// Bubble runs f in virtual time from a program that is no test: the clock advances when
// every goroutine of f waits, so hours pass in seconds. f must start nothing that
// outlives it, touch no real socket and use no context but the one it is given: a channel
// from outside stops the virtual clock. It may be called again, but not at the same time.
//
// A bubble belongs to a test, so one is run. What that takes of package testing is
// outside the Go 1 promise and here alone.
func Bubble(name string, f func(context.Context) error) error {
	err := errors.New("the virtual clock stopped: " + name + " did not finish")
	test := testing.InternalTest{Name: name, F: func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { err = f(t.Context()) })
	}}
	m := testing.MainStart(noDeps{}, []testing.InternalTest{test}, nil, nil, nil)
	if !flag.Parsed() {
		_ = flag.CommandLine.Parse(nil) // the program's arguments are no test flags
	}
	if err := flag.Set("test.timeout", "0"); err != nil {
		return err
	}
	quiet, openErr := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if openErr != nil {
		return openErr
	}
	defer quiet.Close()
	stdout := os.Stdout
	os.Stdout = quiet // it would print PASS
	m.Run()
	os.Stdout = stdout
	return err
}

// noDeps is what package testing asks of a test binary, and this is none.
type noDeps struct{}

type corpusEntry = struct {
	Parent     string
	Path       string
	Data       []byte
	Values     []any
	Generation int
	IsSeed     bool
}

var errNoFuzzing = errors.New("sim: there is no fuzzing here")

func (noDeps) ImportPath() string                          { return "" }
func (noDeps) ModulePath() string                          { return "" }
func (noDeps) MatchString(_, _ string) (bool, error)       { return true, nil }
func (noDeps) SetPanicOnExit0(bool)                        {}
func (noDeps) StartCPUProfile(io.Writer) error             { return nil }
func (noDeps) StopCPUProfile()                             {}
func (noDeps) StartTestLog(io.Writer)                      {}
func (noDeps) StopTestLog() error                          { return nil }
func (noDeps) WriteProfileTo(string, io.Writer, int) error { return nil }
func (noDeps) CoordinateFuzzing(time.Duration, int64, time.Duration, int64, int, []corpusEntry, []reflect.Type, string, string) error {
	return errNoFuzzing
}
func (noDeps) RunFuzzWorker(func(corpusEntry) error) error { return errNoFuzzing }
func (noDeps) ReadCorpus(string, []reflect.Type) ([]corpusEntry, error) {
	return nil, errNoFuzzing
}
func (noDeps) CheckCorpus([]any, []reflect.Type) error { return errNoFuzzing }
func (noDeps) ResetCoverage()                          {}
func (noDeps) SnapshotCoverage()                       {}
func (noDeps) InitRuntimeCoverage() (string, func(string, string) (string, error), func() float64) {
	return "", nil, nil
}
