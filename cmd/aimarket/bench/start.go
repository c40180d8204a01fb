package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

func start(ctx context.Context, o Options) (_ []Result, err error) {
	dir, err := os.MkdirTemp(o.Dir, "start-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	var fresh, idle []float64
	for i := range o.Rounds {
		o.Say(fmt.Sprintf("start round %d of %d", i+1, o.Rounds))
		ready, mib, err := startOnce(ctx, o, filepath.Join(dir, fmt.Sprint("fresh", i)))
		if err != nil {
			return nil, err
		}
		fresh, idle = append(fresh, ready.Seconds()), append(idle, mib)
	}

	full := filepath.Join(dir, "full")
	if err := os.MkdirAll(full, 0o700); err != nil {
		return nil, err
	}
	c, stop, err := openCatalog(ctx, full)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(fill(ctx, o, c, 100_000), stop()); err != nil {
		return nil, err
	}
	var loaded, loadedIdle []float64
	for range o.Rounds {
		ready, mib, err := startOnce(ctx, o, full)
		if err != nil {
			return nil, err
		}
		loaded, loadedIdle = append(loaded, ready.Seconds()), append(loadedIdle, mib)
	}
	return []Result{
		atMost("start", median(fresh), 0.5, "s", 1, "process start to /readyz 200, fresh folder"),
		atMost("start_100k", median(loaded), 2, "s", 1, fmt.Sprintf("the same with 100,000 capabilities, %.0f MiB resident idle", median(loadedIdle))),
		atMost("start_idle", median(idle), 90, "MiB", 1, "resident memory of a fresh idle hub"),
	}, nil
}

// startOnce starts this program's serve on dir and says how long it took to be
// ready and what it holds once it is idle.
func startOnce(ctx context.Context, o Options, dir string) (ready time.Duration, mib float64, err error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, 0, err
	}
	addr := ln.Addr().String()
	ln.Close()
	cmd := exec.CommandContext(ctx, o.Self, "serve", "--data", dir, "--listen", addr, "--admin-listen", "off", "--log-level", "error")
	cmd.Stderr = os.Stderr
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, 0, err
	}
	defer func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		err = errors.Join(err, cmd.Wait())
	}()
	for {
		resp, err := http.Get("http://" + addr + "/readyz")
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				break
			}
		}
		if time.Since(began) > time.Minute {
			return 0, 0, errors.New("the hub was not ready within a minute")
		}
		time.Sleep(2 * time.Millisecond)
	}
	ready = time.Since(began)
	time.Sleep(2 * time.Second) // idle is what is left when starting is over
	mib, err = residentMiB(strconv.Itoa(cmd.Process.Pid))
	return ready, mib, err
}
