package stamp

import (
	"os"
	"path/filepath"
	"testing"
)

func TestKey(t *testing.T) {
	key := Key("a", "b")
	if again := Key("a", "b"); again != key {
		t.Error("equal parts give different keys")
	}
	for _, other := range [][]string{{"ab"}, {"b", "a"}, {"a", "b", ""}, {"a"}, {"1:a,1:b,"}} {
		if key == Key(other...) {
			t.Errorf("Key(a, b) = Key(%q)", other)
		}
	}
}

func TestFresh(t *testing.T) {
	dir := t.TempDir()
	result := filepath.Join(dir, "result")
	if Fresh(dir, "thing", "key", result) {
		t.Error("fresh without a stamp")
	}
	if err := Set(dir, "thing", "key"); err != nil {
		t.Fatal(err)
	}
	if Fresh(dir, "thing", "key", result) {
		t.Error("fresh without its result")
	}
	if err := os.WriteFile(result, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if !Fresh(dir, "thing", "key", result) {
		t.Error("not fresh with stamp and result")
	}
	if Fresh(dir, "thing", "other", result) || Fresh(dir, "other", "key", result) {
		t.Error("fresh with another key or name")
	}
}

func TestFileKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	keys := map[string]bool{}
	for _, text := range []string{"one", "two"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		key, err := FileKey(path)
		if err != nil {
			t.Fatal(err)
		}
		keys[key] = true
	}
	if len(keys) != 2 {
		t.Error("two contents have one key")
	}
	if _, err := FileKey(path + ".none"); err == nil {
		t.Error("a missing file has a key")
	}
}
