package repository

import (
	"fmt"
	"io"
)

// Secret is a password. It redacts itself wherever it could be printed or serialised by accident.
type Secret string

const redacted = "[secret]"

// Reveal returns the secret itself.
func (s Secret) Reveal() string { return string(s) }

// String returns a placeholder, never the secret.
func (s Secret) String() string { return redacted }

// GoString returns a placeholder, never the secret.
func (s Secret) GoString() string { return redacted }

// Format writes a placeholder whatever the verb, so that even %x shows nothing.
func (s Secret) Format(state fmt.State, _ rune) { _, _ = io.WriteString(state, redacted) }

// MarshalText returns a placeholder, never the secret.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
