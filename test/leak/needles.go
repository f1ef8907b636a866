package leak

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"strings"
)

// shortest is the length of the shortest text to look for: shorter ones occur by chance.
const shortest = 8

// forms are the texts of a secret in common encodings.
func forms(value string) []string {
	forms := []string{
		value,
		url.QueryEscape(value),
		url.PathEscape(value),
		hex.EncodeToString([]byte(value)),
		strings.ToUpper(hex.EncodeToString([]byte(value))),
	}
	if quoted, err := json.Marshal(value); err == nil {
		forms = append(forms, strings.Trim(string(quoted), `"`))
	}
	forms = append(forms, insideBase64(value)...)
	var distinct []string
	known := map[string]bool{}
	for _, form := range forms {
		if len(form) >= shortest && !known[form] {
			known[form] = true
			distinct = append(distinct, form)
		}
	}
	return distinct
}

// insideBase64 are the characters that a value has in the base64 of any longer text. Three bytes make four characters,
// so there are three ways to begin; it leaves out the characters that also depend on the neighbours.
func insideBase64(value string) []string {
	var all []string
	for skip := range 3 {
		text := append(make([]byte, skip), value...)
		whole := len(text) / 3 * 3
		start := (skip + 2) / 3 * 4
		for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			if encoded := encoding.EncodeToString(text[:whole]); len(encoded) > start {
				all = append(all, encoded[start:])
			}
		}
	}
	return all
}

// around is the text around a find, with the find itself blotted out.
func around(text []byte, at int, form string) string {
	const context = 60
	before := text[max(0, at-context):at]
	after := text[min(len(text), at+len(form)):min(len(text), at+len(form)+context)]
	return strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, string(before)+"█████"+string(after))
}

// find looks for any of the forms.
func find(text []byte, forms []string) (excerpt string, found bool) {
	for _, form := range forms {
		if at := bytes.Index(text, []byte(form)); at >= 0 {
			return around(text, at, form), true
		}
	}
	return "", false
}
