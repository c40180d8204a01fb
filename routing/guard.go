package routing

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// DefaultHookTimeout is how long one hook call may take.
	DefaultHookTimeout = 2 * time.Second

	// maxStuck bounds how many calls of one plugin may have overrun their deadline
	// and still be running. Beyond it the plugin counts as failing at once, so a
	// hanging plugin costs this many goroutines and no more.
	maxStuck = 64

	// maxStack bounds the stack trace that a panicking hook leaves in the log.
	maxStack = 4 << 10
)

var errStuck = errors.New("too many earlier calls of this plugin are still hanging")

// panicError is a panic turned into an error, so that one plugin or built-in
// cannot take the process down.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// guard calls fn under a deadline and turns a panic into an error. fn runs on its
// own goroutine, because only then can a function that ignores its context be
// left behind; stuck counts those that were. fn gets everything it writes to by
// return value, so nothing is shared with a call that was left behind.
func guard[T any](ctx context.Context, limit time.Duration, stuck *atomic.Int32, fn func(context.Context) (T, error)) (T, error) {
	type outcome struct {
		v   T
		err error
	}
	var zero T
	if stuck.Load() >= maxStuck {
		return zero, errStuck
	}
	hook := &hookContext{Context: ctx, deadline: time.Now().Add(limit)}
	defer hook.end()
	done := make(chan outcome, 1)
	go func() {
		var o outcome
		defer func() {
			if p := recover(); p != nil {
				o.v, o.err = zero, panicked(p)
			}
			done <- o
		}()
		o.v, o.err = fn(hook)
	}()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case o := <-done:
		return o.v, o.err
	case <-timer.C:
	case <-ctx.Done():
	}
	select { // it may have finished just in time
	case o := <-done:
		return o.v, o.err
	default:
	}
	stuck.Add(1)
	go func() {
		<-done
		stuck.Add(-1)
	}()
	err := ctx.Err()
	if err == nil {
		err = context.DeadlineExceeded
	}
	return zero, fmt.Errorf("gave no answer within %s: %w", limit, err)
}

// check runs one check of a plugin: inline if the plugin promised to be prompt with
// so small a payload, else guarded.
func (p *plugin) check(ctx context.Context, payload *Payload, fn func(context.Context) (Verdict, error)) (Verdict, error) {
	if len(payload.Raw()) <= p.prompt {
		return inline(ctx, fn)
	}
	return guard(ctx, p.timeout, &p.stuck, fn)
}

// promptInput is the input up to which a prompt built-in runs inline.
const promptInput = 4 << 10

// inline calls fn here and turns a panic into an error.
func inline[T any](ctx context.Context, fn func(context.Context) (T, error)) (v T, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = panicked(p)
		}
	}()
	return fn(ctx)
}

func panicked(value any) error {
	stack := debug.Stack()
	return &panicError{value: value, stack: stack[:min(len(stack), maxStack)]}
}

// hookContext is a context with a deadline that costs nothing until somebody waits
// for it: most hooks are done in microseconds and never look.
type hookContext struct {
	context.Context // the call's
	deadline        time.Time

	mu     sync.Mutex
	waits  context.Context // made by the first who waits
	cancel context.CancelFunc
	ended  bool
}

func (c *hookContext) Deadline() (time.Time, bool) {
	if d, ok := c.Context.Deadline(); ok && d.Before(c.deadline) {
		return d, true
	}
	return c.deadline, true
}

func (c *hookContext) Done() <-chan struct{} { return c.waiting().Done() }
func (c *hookContext) Err() error            { return c.waiting().Err() }

func (c *hookContext) waiting() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waits == nil {
		c.waits, c.cancel = context.WithDeadline(c.Context, c.deadline)
		if c.ended {
			c.cancel()
		}
	}
	return c.waits
}

// end cancels whoever still waits: a call that was left behind.
func (c *hookContext) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	if c.cancel != nil {
		c.cancel()
	}
}
