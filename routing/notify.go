package routing

import "context"

// notifier runs on_invoke_settled behind the answer, in the order of the calls.
// Its queue is bounded: when it is full, the call that is done waits for the
// observers itself, so that none is skipped and nothing piles up.
type notifier struct {
	r     *Router
	queue chan Settled // nil: nobody observes
	stop  chan struct{}
	done  chan struct{}
}

// maxSettledQueue bounds the finished calls that wait for their observers.
const maxSettledQueue = 1024

func newNotifier(r *Router) *notifier {
	n := &notifier{r: r, stop: make(chan struct{}), done: make(chan struct{})}
	if !r.observed {
		close(n.done)
		return n
	}
	n.queue = make(chan Settled, maxSettledQueue)
	go func() {
		defer close(n.done)
		for {
			select {
			case s := <-n.queue:
				n.deliver(s)
			case <-n.stop:
				for {
					select {
					case s := <-n.queue:
						n.deliver(s)
					default:
						return
					}
				}
			}
		}
	}()
	return n
}

func (n *notifier) tell(s Settled) {
	if n.queue == nil {
		return
	}
	select {
	case <-n.stop:
		// The call outlived the patience of Close; its observers are being stopped.
		n.r.c.Logger.Warn("a call ended after its observers were stopped", "nonce", s.Nonce, "status", s.Status)
		return
	default:
	}
	select {
	case n.queue <- s:
	default:
		n.deliver(s)
	}
}

func (n *notifier) deliver(s Settled) {
	for _, p := range n.r.active {
		if p.observer == nil {
			continue
		}
		_, err := guard(context.Background(), p.timeout, &p.stuck, func(ctx context.Context) (struct{}, error) {
			p.observer.InvokeSettled(ctx, s)
			return struct{}{}, nil
		})
		if err != nil {
			n.r.hookFailed(p, hookSettled, err)
		}
	}
}

// close delivers what is queued and stops.
func (n *notifier) close() {
	close(n.stop)
	<-n.done
}
