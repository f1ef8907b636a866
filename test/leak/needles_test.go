package leak

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"strings"
	"testing"
)

func TestFind(t *testing.T) {
	const secret = `pass "word"/ + ümlaut 4711`
	quoted, err := json.Marshal(map[string]string{"key": secret})
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{
		"plain": "x " + secret + " y",
		"JSON":  string(quoted),
		"URL":   "https://host/?password=" + url.QueryEscape(secret),
		"hex":   hex.EncodeToString([]byte("a" + secret)),
	}
	for _, before := range []string{"", "a", "ab", "abc", "abcd"} {
		for _, after := range []string{"", "1", "12"} {
			texts["base64 of "+before+"…"+after] = base64.StdEncoding.EncodeToString([]byte(before + secret + after))
		}
	}
	for name, text := range texts {
		excerpt, found := find([]byte(text), forms(secret))
		if !found {
			t.Errorf("%s: not found in %s", name, text)
		}
		if strings.Contains(excerpt, secret) {
			t.Errorf("%s: the excerpt %q shows it", name, excerpt)
		}
	}
	for _, text := range []string{"", "password 4711", base64.StdEncoding.EncodeToString([]byte("another text, of some length"))} {
		if excerpt, found := find([]byte(text), forms(secret)); found {
			t.Errorf("found in %q: %s", text, excerpt)
		}
	}
}

// The Collector keeps planted secrets apart from the rest, once for each object.
func TestCollectorKeepsFindingsApart(t *testing.T) {
	c := New()
	c.Guard("key", "a-secret-key")
	c.Guard("planted", "a-planted-one")
	c.Text("log", "pod a", []byte("x a-secret-key y"))
	c.Text("log", "pod a", []byte("again a-secret-key"))
	c.Text("Event", "e", []byte("a-planted-one"))
	c.Text("Event", "e", []byte("nothing"))
	if found := c.Findings("key"); len(found) != 1 || found[0].Place != "log" || found[0].Where != "pod a" {
		t.Errorf("findings %v", found)
	}
	if found := c.Findings("planted"); len(found) != 1 || found[0].Place != "Event" {
		t.Errorf("findings %v", found)
	}
	if seen := c.Seen(); seen["log"] != 2 || seen["Event"] != 2 {
		t.Errorf("seen %v", seen)
	}
}
