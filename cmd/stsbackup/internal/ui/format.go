package ui

import (
	"encoding/json"
	"fmt"
	"io"
)

// Format is how results and progress are printed. A flag can have this type.
type Format string

// The formats.
const (
	Text Format = "text"
	JSON Format = "json"
)

// String is the format's name.
func (f *Format) String() string { return string(*f) }

// Set takes the name of a format.
func (f *Format) Set(s string) error {
	switch v := Format(s); v {
	case Text, JSON:
		*f = v
		return nil
	default:
		return fmt.Errorf("%q is neither text nor json", s)
	}
}

// Type says what a flag of this type takes.
func (f *Format) Type() string { return "text|json" }

// WriteJSON writes a result as JSON.
func WriteJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}
