package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/aimarket/aimarket/internal/canon"
	"github.com/aimarket/aimarket/internal/identity"
)

// What this provider sells. A hub names both in every call; they are what the
// signature binds an answer to.
const (
	productID    = "hello"
	capabilityID = "hello.greet@v1"
)

const (
	maxBody = 1 << 20 // bytes, the protocol's bound for a provider
	maxName = 100     // bytes
)

// provider answers calls from hubs and signs what it answers.
type provider struct{ key *identity.Key }

func (p provider) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /invoke", p.invoke)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "ok\n") })
	return mux
}

// invoke is the whole contract with a hub: the body is {"input", "product_id",
// "capability_id"}; the answer is {"success": true, "result": {…}} and its
// signature in a header. Any other status than 200 costs the buyer nothing.
func (p provider) invoke(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		refuse(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is larger than %d bytes", maxBody))
		return
	} else if err != nil {
		refuse(w, http.StatusBadRequest, "the body could not be read to its end")
		return
	}
	// canon keeps every number exactly as it was sent: the signature covers a
	// digest of the input, so nothing may be re-encoded on the way.
	body, err := canon.Parse(raw)
	if err != nil {
		refuse(w, http.StatusUnprocessableEntity, "the body is not JSON: "+err.Error())
		return
	}
	input := body.Get("input")
	if body.Kind() != canon.Object || input.Kind() != canon.Object {
		refuse(w, http.StatusUnprocessableEntity, `the body must be an object with "product_id", "capability_id" and an object "input"`)
		return
	}
	if body.Get("product_id").Str() != productID || body.Get("capability_id").Str() != capabilityID {
		refuse(w, http.StatusBadRequest, "this provider serves "+productID+"/"+capabilityID+" only; correct the listing's invoke_url or ids")
		return
	}
	result, err := greet(input)
	if err != nil {
		refuse(w, http.StatusUnprocessableEntity, err.Error())
		return
	}
	signature, err := p.sign(input, result)
	if err != nil {
		refuse(w, http.StatusInternalServerError, "the answer could not be signed")
		return
	}
	answer := append(append([]byte(`{"success":true,"result":`), result...), '}')
	w.Header().Set("X-Provider-Signature", signature)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
	w.Write(answer)
}

// sign covers the ids, a digest of the input and the result, so that nobody on
// the way can swap one for another.
func (p provider) sign(input canon.Value, result []byte) (string, error) {
	v, err := canon.Parse(result)
	if err != nil {
		return "", err
	}
	return p.key.SignBase64(canon.ProviderMessage(productID, capabilityID, input, v)), nil
}

// greetings by language; replace this and greet with your own work.
var greetings = map[string]string{
	"en": "Hello, %s!", "de": "Hallo, %s!", "fr": "Bonjour, %s !", "es": "¡Hola, %s!", "ru": "Привет, %s!",
}

func greet(input canon.Value) ([]byte, error) {
	name := input.Get("name")
	who := strings.TrimSpace(name.Str())
	if name.Kind() != canon.String || who == "" || len(who) > maxName {
		return nil, fmt.Errorf("input.name must be a string of 1 to %d bytes", maxName)
	}
	form := greetings["en"]
	if l := input.Get("language"); l.Exists() && l.Kind() != canon.Null {
		known, ok := greetings[l.Str()]
		if !ok {
			return nil, errors.New("input.language must be one of en, de, fr, es, ru")
		}
		form = known
	}
	return append(canon.AppendString([]byte(`{"greeting":`), fmt.Sprintf(form, who)), '}'), nil
}

// refuse answers with the shape that hubs expect of a provider.
func refuse(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(append(canon.AppendString([]byte(`{"detail":`), detail), '}', '\n'))
}
