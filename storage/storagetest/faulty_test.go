package storagetest_test

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/storagetest"
)

// move copies a to b and removes a: one operation of each important kind.
func move(ctx context.Context, bucket storage.Bucket) error {
	reader, err := bucket.Get(ctx, "a", 0, -1)
	if err != nil {
		return err
	}
	data, err := io.ReadAll(reader)
	if err := errors.Join(err, reader.Close()); err != nil {
		return err
	}
	if err := bucket.Put(ctx, "b", data); err != nil {
		return err
	}
	return bucket.Delete(ctx, "a")
}

// contents returns all objects with their data.
func contents(t *testing.T, bucket storage.Bucket) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := bucket.List(t.Context(), "", func(info storage.Info) error {
		reader, err := bucket.Get(t.Context(), info.Name, 0, -1)
		if err != nil {
			return err
		}
		data, err := io.ReadAll(reader)
		found[info.Name] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestFaultyFailsAsPlanned(t *testing.T) {
	t.Parallel()
	was, moved := map[string]string{"a": "data"}, map[string]string{"b": "data"}
	both := map[string]string{"a": "data", "b": "data"}
	for _, test := range []struct {
		name  string
		fault storagetest.Fault
		want  map[string]string
		fails bool
	}{
		{"none", storagetest.Fault{}, moved, false},
		{"never reached", storagetest.Fault{At: 4}, moved, false},
		{"before get", storagetest.Fault{At: 1}, was, true},
		{"after get", storagetest.Fault{At: 1, How: storagetest.After}, was, true},
		{"torn get", storagetest.Fault{At: 1, How: storagetest.Torn}, was, true},
		{"before put", storagetest.Fault{At: 2, How: storagetest.Before}, was, true},
		{"after put", storagetest.Fault{At: 2, How: storagetest.After}, both, true},
		{"torn put", storagetest.Fault{At: 2, How: storagetest.Torn}, map[string]string{"a": "data", "b": "da"}, true},
		{"before delete", storagetest.Fault{At: 3}, both, true},
		{"after delete", storagetest.Fault{At: 3, How: storagetest.After}, moved, true},
		{"second change", storagetest.Fault{At: 2, Match: storagetest.Changes}, both, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			memory := storagetest.NewMemory()
			if err := memory.Put(t.Context(), "a", []byte("data")); err != nil {
				t.Fatal(err)
			}
			faulty := storagetest.NewFaulty(memory, test.fault)
			err := move(t.Context(), faulty)
			if errors.Is(err, storagetest.ErrFault) != test.fails || (err != nil) != test.fails {
				t.Errorf("error %v, want a fault: %v", err, test.fails)
			}
			if faulty.Fired() != test.fails {
				t.Errorf("Fired() = %v", faulty.Fired())
			}
			if diff := cmp.Diff(test.want, contents(t, memory)); diff != "" {
				t.Errorf("left behind (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFaultyStops(t *testing.T) {
	t.Parallel()
	broken := errors.New("power cut")
	for _, stop := range []bool{true, false} {
		memory := storagetest.NewMemory()
		faulty := storagetest.NewFaulty(memory, storagetest.Fault{At: 1, How: storagetest.After, Stop: stop, Err: broken})
		if err := faulty.Put(t.Context(), "a", nil); !errors.Is(err, broken) {
			t.Errorf("first put: %v, want %v", err, broken)
		}
		if err := faulty.Put(t.Context(), "b", nil); errors.Is(err, broken) != stop {
			t.Errorf("second put with Stop %v: %v", stop, err)
		}
		if _, err := memory.Stat(t.Context(), "b"); errors.Is(err, storage.ErrNotExist) != stop {
			t.Errorf("second object with Stop %v: %v", stop, err)
		}
	}
}

func TestFaultyTearsStreamsAndLists(t *testing.T) {
	t.Parallel()
	memory := storagetest.NewMemory()
	for _, name := range []string{"a", "b"} {
		if err := memory.Put(t.Context(), name, []byte("data")); err != nil {
			t.Fatal(err)
		}
	}
	for how, want := range map[storagetest.How]string{storagetest.Torn: "da", storagetest.After: "data"} {
		reader, err := storagetest.NewFaulty(memory, storagetest.Fault{At: 1, How: how}).Get(t.Context(), "a", 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(reader)
		if string(data) != want || !errors.Is(err, storagetest.ErrFault) {
			t.Errorf("get %s: %q, %v; want %q and a fault", how, data, err, want)
		}
	}
	for how, want := range map[storagetest.How]int{storagetest.Before: 0, storagetest.Torn: 1, storagetest.After: 2} {
		listed := 0
		faulty := storagetest.NewFaulty(memory, storagetest.Fault{At: 1, How: how})
		err := faulty.List(t.Context(), "", func(storage.Info) error { listed++; return nil })
		if listed != want || !errors.Is(err, storagetest.ErrFault) {
			t.Errorf("list %s: %d objects, %v; want %d and a fault", how, listed, err, want)
		}
	}
}

// A Faulty with nothing planned must pass the contract suite: the wrapper itself changes nothing.
func TestFaultyWithoutFaultKeepsTheContract(t *testing.T) {
	t.Parallel()
	storagetest.Contract{Open: func(*testing.T) storage.Bucket {
		return storagetest.NewFaulty(storagetest.NewMemory(), storagetest.Fault{})
	}}.Test(t)
}
