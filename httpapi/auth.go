package httpapi

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
)

// bearer is the token of an Authorization: Bearer header.
func bearer(r *http.Request) (token string, given bool) {
	h := r.Header.Get("Authorization")
	if len(h) < 7 || !strings.EqualFold(h[:7], "Bearer ") {
		return "", false
	}
	token = strings.TrimSpace(h[7:])
	return token, token != ""
}

// equalSecret compares without telling by its time where or how the two differ.
// An empty secret equals nothing: it means that none is configured.
func equalSecret(given, secret string) bool {
	a, b := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(secret))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1 && secret != ""
}

// admin admits the operator (HTTP API notes §0): 503 while no token is configured,
// 401 without a Bearer token, 403 with a wrong one.
func (s *Server) admin(r *http.Request) *problem {
	if s.cfg.AdminToken == "" {
		return refuse(http.StatusServiceUnavailable, "admin_disabled",
			"operator routes are off: the hub was started without AIMARKET_ADMIN_TOKEN")
	}
	token, ok := bearer(r)
	if !ok {
		return refuse(http.StatusUnauthorized, "missing_token", "this route is the operator's: send Authorization: Bearer with the hub's admin token")
	}
	if !equalSecret(token, s.cfg.AdminToken) {
		return refuse(http.StatusForbidden, "wrong_token", "the Bearer token is not this hub's admin token")
	}
	return nil
}

// isOperator reports a call that carries the operator's own token.
func (s *Server) isOperator(r *http.Request) bool {
	if r.Header["Authorization"] == nil || s.cfg.AdminToken == "" {
		return false
	}
	token, _ := bearer(r)
	return equalSecret(token, s.cfg.AdminToken)
}

// publisher admits who may publish (HTTP API notes §7) and names them: the id of a
// publisher token, or "" for the operator, the shared token and open publishing,
// who may act for any publisher.
func (s *Server) publisher(r *http.Request) (id string, p *problem) {
	closed := s.cfg.AdminToken != "" || len(s.cfg.PublisherTokens) > 0
	shared := s.cfg.PublishToken
	if s.cfg.Production {
		shared = "" // one secret for everybody is for trying things only
	}
	token, ok := bearer(r)
	if !closed && shared == "" {
		if s.cfg.Production {
			return "", refuse(http.StatusServiceUnavailable, "publishing_disabled",
				"this hub takes no publications: the operator has to set AIMARKET_PUBLISHER_TOKENS or AIMARKET_ADMIN_TOKEN")
		}
		return "", nil
	}
	if !ok {
		return "", refuse(http.StatusUnauthorized, "missing_token", "publishing here needs Authorization: Bearer with a publisher token")
	}
	// Every secret is compared, so that the time taken names none of them.
	found := equalSecret(token, s.cfg.AdminToken)
	if equalSecret(token, shared) {
		found = true
	}
	for name, secret := range s.cfg.PublisherTokens {
		if equalSecret(token, secret) {
			id, found = name, true
		}
	}
	if !found {
		return "", refuse(http.StatusForbidden, "wrong_token", "the Bearer token is no publisher token of this hub")
	}
	return id, nil
}

// sameToken reports whether the request carries exactly this secret.
func sameToken(r *http.Request, secret string) (given, right bool) {
	token, given := bearer(r)
	return given, given && equalSecret(token, secret)
}
