package catalog

import (
	"encoding/json"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stsbackup/stsbackup/storage/repository"
)

// forgeRecord commits a record without any checks.
func (w world) forgeRecord(t *testing.T, id string, record []byte, manifests map[string][]byte) {
	t.Helper()
	tree, err := w.Catalog.saveFiles(t.Context(), recordFiles{record: record, manifests: manifests}, started)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.Repository().SaveSnapshot(t.Context(), repository.Snapshot{
		Time: started, Tree: &tree, Hostname: w.Host(), Tags: []string{TagStsbackup, TagRecoveryPoint + "=" + id, TagRecord},
	}); err != nil {
		t.Fatal(err)
	}
}

func TestImpossibleNumbersAreRefused(t *testing.T) {
	w := newWorld(t)
	far := started.AddDate(400, 0, 0)
	for name, change := range map[string]func(*Record){
		"begun in 400 years":      func(r *Record) { r.Started = far },
		"ended in 400 years":      func(r *Record) { r.Finished = far },
		"cut in 400 years":        func(r *Record) { r.Volumes[0].Cut = far },
		"begun before computers":  func(r *Record) { r.Started = started.AddDate(-400, 0, 0) },
		"an id of the year 9999":  func(r *Record) { r.ID = "99991231T000000Z-3fa91c07" },
		"the smallest skew":       func(r *Record) { r.Skew = math.MinInt64 },
		"the largest skew":        func(r *Record) { r.Skew = math.MaxInt64 },
		"fewer than no replicas":  func(r *Record) { r.Replicas = -1 },
		"an ordinal below zero":   func(r *Record) { r.Volumes[0].Ordinal = -1 },
		"ordinals beyond the end": func(r *Record) { r.OrdinalsStart = math.MaxInt32 },
		"fewer than no bytes":     func(r *Record) { r.Volumes[0].Bytes = -1 },
		"too many bytes":          func(r *Record) { r.Volumes[0].Stored = math.MaxInt64 },
		"too many bytes in all": func(r *Record) {
			r.Volumes = append(r.Volumes, r.Volumes[0])
			r.Volumes[0].Size, r.Volumes[1].Size = maxBytes/2+1, maxBytes/2+1
		},
		"fewer than no files":    func(r *Record) { r.Volumes[0].Files = -1 },
		"fewer than no problems": func(r *Record) { r.Volumes[0].ProblemCount = -1 },
		"fewer than no changes":  func(r *Record) { r.Volumes[0].ChangeCount = -1 },
	} {
		record := w.record(t, "3fa9", started, StateComplete)
		record.Version = RecordVersion
		change(&record)
		data, err := json.Marshal(record)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := decodeRecord(data); err == nil {
			t.Errorf("%s: the record is read", name)
		}
		if err := w.Commit(t.Context(), record, nil); err == nil {
			t.Errorf("%s: the record is written", name)
		}
	}
}

// TestRecordsThatTakeVeryMuchMemory also has a good recovery point, which none of the others may hide.
func TestRecordsThatTakeVeryMuchMemory(t *testing.T) {
	w := newWorld(t)
	good := w.commit(t, w.record(t, "3fa9", started, StateComplete))
	head := fmt.Sprintf(`{"version":%d,"namespace":"demo","statefulSet":"web","state":"complete",`, RecordVersion)
	list := func(field, element string, count int) string {
		return fmt.Sprintf(`"%s":[%s%s]`, field, strings.Repeat(element+",", count-1), element)
	}
	for i, body := range []string{
		list("volumes", `{}`, 2<<20),
		list("volumes", `{}`, 5<<20), // larger than a record can be
		list("volumes", `{"claim":"a","error":"b"}`, 200_000),
		list("leftOut", `{}`, 2<<20),
		`"volumes":[{"claim":"a","error":"b",` + list("problems", `""`, 2<<20) + `}]`,
		`"volumes":[{"claim":"a","error":"b","labels":{` + strings.Repeat(`"":"",`, 1<<20) + `"":""}}]`,
	} {
		id := fmt.Sprintf("20261121T09%02d00Z-3fa9", i)
		w.forgeRecord(t, id, []byte(head+`"id":"`+id+`",`+body+`}`), nil)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		records, err := w.List(t.Context())
		runtime.ReadMemStats(&after)
		if len(records) != 1 || records[0].ID != good.ID {
			t.Errorf("%.60s: %d records, want the good one", body, len(records))
		}
		if err == nil || !strings.Contains(err.Error(), id) {
			t.Errorf("%.60s: %v, want an error that names %s", body, err, id)
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > 150<<20 { // counting memory that was freed
			t.Errorf("%.60s: took %d MiB of memory", body, took>>20)
		}
		if _, err := w.Forget(t.Context(), id); err != nil {
			t.Errorf("forget: %v", err)
		}
	}
	if record, err := w.Find(t.Context(), string(good.ID)); err != nil || record.ID != good.ID {
		t.Errorf("find: %v, %v", record.ID, err)
	}
}

func TestManifestsAreBounded(t *testing.T) {
	w := newWorld(t)
	record := w.record(t, "3fa9", started, StateComplete)
	large := make([]byte, maxManifestSize)
	five := map[string][]byte{"a": large, "b": large, "c": large, "d": large, "e": large}
	if err := w.Commit(t.Context(), record, five); err == nil || !strings.Contains(err.Error(), "manifest e") {
		t.Errorf("commit: %v, want an error that names the manifest for which there is no room", err)
	}
	record.Version = RecordVersion
	data, err := json.Marshal(record)
	if err != nil {
		t.Fatal(err)
	}
	w.forgeRecord(t, string(record.ID), data, five)
	_, err = w.Manifests(t.Context(), record.ID)
	if err == nil || !strings.Contains(err.Error(), "manifests of recovery point "+string(record.ID)) {
		t.Errorf("manifests: %v, want an error that names the recovery point", err)
	}
	if records, err := w.List(t.Context()); err != nil || len(records) != 1 {
		t.Errorf("list: %d, %v", len(records), err)
	}
}

// TestLargeRecordLosesOnlyNames has a record that is too large with the names of the unreadable files.
func TestLargeRecordLosesOnlyNames(t *testing.T) {
	w := newWorld(t)
	record := w.record(t, "3fa9", started, StateIncomplete)
	record.Volumes[1].Annotations = map[string]string{"a": strings.Repeat("x", maxVolumeSize/2)}
	long := slices.Repeat([]string{strings.Repeat("x", 1000)}, maxRecordSize/1000)
	record.Volumes[0].Problems, record.Volumes[0].ProblemCount = long, len(long)
	if err := w.Commit(t.Context(), record, nil); err != nil {
		t.Fatal(err)
	}
	got, err := w.Find(t.Context(), string(record.ID))
	if err != nil || got.Volumes[0].ProblemCount != len(long) || len(got.Volumes[1].Annotations) != 1 {
		t.Errorf("read again: %d problems, %v", got.Volumes[0].ProblemCount, err)
	}
	if len(record.Volumes[0].Problems) != len(long) {
		t.Error("the caller's record was changed")
	}
	record.ID, record.Volumes = "20261121T090000Z-3fa9", slices.Repeat(record.Volumes, 9)
	if err := w.Commit(t.Context(), record, nil); err == nil {
		t.Error("a record was written that would be too large to be read")
	}
}
