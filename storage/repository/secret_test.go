package repository

import (
	"bytes"
	"fmt"
	"testing"
)

func TestSecretShowsNothing(t *testing.T) {
	secret := Secret("hunter2")
	wrapped := struct{ S Secret }{secret}
	for _, format := range []string{"%s", "%v", "%+v", "%#v", "%q", "%x", "%d"} {
		for _, value := range []any{secret, &secret, wrapped} {
			if got := fmt.Sprintf(format, value); bytes.Contains([]byte(got), []byte("hunter2")) || bytes.Contains([]byte(got), []byte("68756e")) {
				t.Errorf("%s shows %s", format, got)
			}
		}
	}
	if text, err := secret.MarshalText(); err != nil || string(text) != redacted {
		t.Errorf("MarshalText = %s, %v", text, err)
	}
	if secret.Reveal() != "hunter2" {
		t.Error("Reveal does not")
	}
}
