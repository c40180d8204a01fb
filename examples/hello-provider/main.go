// Command hello-provider is a whole provider in one small program: it sells a
// greeting, answers a hub's calls over HTTP and signs every answer, so that a hub
// takes none that is not its own. Copy it and replace greet.
//
// It promises the provider's side of the protocol and nothing more: it knows no
// buyers and no money, because the hub only calls it for what is paid. Whoever
// can reach its address can call it for free; put it where only hubs can, or
// check the hub's address.
package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	_ "embed"

	"github.com/aimarket/aimarket/internal/identity"
)

//go:embed capability.json
var listing []byte

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "hello-provider:", err)
			os.Exit(1)
		}
	}
}

// run starts the provider and serves until ctx ends.
func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("hello-provider", flag.ContinueOnError)
	listen := flags.String("listen", "127.0.0.1:9090", "`address` to answer on")
	keyPath := flags.String("key", filepath.Join("data", "hello-provider.key"), "`file` of the signing key; made on first start")
	url := flags.String("url", "", "`URL` at which hubs reach /invoke; default http://<listen>/invoke")
	write := flags.String("write-capability", "", "write the listing with this provider's key and URL to this `file`")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(*keyPath), 0o700); err != nil {
		return fmt.Errorf("making the folder of the key: %w", err)
	}
	key, created, err := identity.LoadOrCreate(*keyPath, rand.Reader)
	if err != nil {
		return fmt.Errorf("reading the signing key: %w", err)
	}
	l, err := net.Listen("tcp", *listen)
	if err != nil {
		return fmt.Errorf("listening for hubs: %w", err)
	}
	if *url == "" {
		*url = "http://" + l.Addr().String() + "/invoke"
	}
	if *write != "" {
		doc, err := capability(key.PublicBase64(), *url)
		if err == nil {
			err = os.WriteFile(*write, doc, 0o644)
		}
		if err != nil {
			l.Close()
			return fmt.Errorf("writing the listing: %w", err)
		}
		fmt.Fprintf(out, "listing     %s  (aimarket publish %s)\n", *write, *write)
	}
	if created {
		fmt.Fprintf(out, "new key     %s  (keep it: the listing names it)\n", *keyPath)
	}
	fmt.Fprintf(out, "public key  %s\nanswering   %s\n", key.PublicBase64(), *url)
	return serve(ctx, l, provider{key}.routes())
}

// serve answers until ctx ends and then lets calls in flight finish.
func serve(ctx context.Context, l net.Listener, h http.Handler) error {
	s := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	select {
	case err := <-done:
		return fmt.Errorf("serving: %w", err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	err := s.Shutdown(grace)
	<-done
	return err
}

// capability is the document to publish: capability.json with this provider's
// key and address.
func capability(publicKey, url string) ([]byte, error) {
	var doc map[string]json.RawMessage
	if err := json.Unmarshal(listing, &doc); err != nil {
		return nil, err
	}
	for name, value := range map[string]string{"provider_pubkey": publicKey, "invoke_url": url} {
		raw, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		doc[name] = raw
	}
	b, err := json.MarshalIndent(doc, "", "  ")
	return append(b, '\n'), err
}
