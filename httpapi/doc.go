// Package httpapi is the HTTP face of a hub: AIMarket Protocol v2, the pages for
// people, and the operator's own listener.
//
// One table (table*.go) declares every route: method, path, parameters, body,
// answers, and who may call it. The router is mounted from it, requests are
// checked against it, and the OpenAPI document is printed from it, so the three
// cannot disagree. Handlers decode, ask catalog, ledger or routing, and print;
// they decide nothing themselves.
//
// What it promises every client (consumer contract §3, §4):
//
//   - every body, refusals included, is a JSON object with an application/json
//     content type (pages and metrics apart), and every refusal has a string
//     "error";
//   - every answer may be read by any page, and OPTIONS succeeds on any path;
//   - no redirect is ever sent; a trailing slash and a path below the hub's own
//     base path name the same route;
//   - money is printed exactly and read from JSON numbers only.
//
// Its limits: request bodies are bounded by MaxInvokeBody, MaxBody and
// MaxReceiptBody; timeouts, TLS and the sockets belong to package node. It keeps
// no state but counters and the per-address limit on channel routes.
package httpapi
