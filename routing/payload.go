package routing

import "github.com/aimarket/aimarket/internal/canon"

// Payload is an input or output as hooks see it: parsed once, flattened once.
type Payload struct{}

// NewPayload wraps a parsed JSON value.
func NewPayload(v canon.Value) *Payload { panic("skeleton") }

// Value is the parsed JSON, Raw its exact bytes (not to be changed).
func (p *Payload) Value() canon.Value { panic("skeleton") }
func (p *Payload) Raw() []byte        { panic("skeleton") }

// Text is all keys and values, strings decoded, joined by spaces in source order.
func (p *Payload) Text() string { panic("skeleton") }
