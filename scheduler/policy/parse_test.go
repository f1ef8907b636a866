package policy

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stsbackup/stsbackup/internal/calendar"
	"github.com/stsbackup/stsbackup/scheduler/retention"
)

const full = `# what is backed up
apiVersion: stsbackup.io/v1
kind: Policies
repository: s3://backups/prod?endpoint=https://s3.example.com
policies:
- name: databases
  select:
    namespaces: [prod, "team-*"]
    namespaceLabels: {backup: "true"}
    statefulSetLabels: tier=db,env in (a, b)
    names: ["pg-?", "mysql*"]
    exclude: [pg-x, prod/mysql-scratch]
  schedule: "30 2 * * *"
  timeZone: Europe/Berlin
  jitter: 15m
  startingDeadline: 2h
  suspend: true
  backup:
    method: snapshot
    parallel: 2
    snapshotReadyTimeout: 10m
    moverResources:
      requests: {cpu: 250m, memory: 128Mi}
      limits: {cpu: 1, memory: 256Mi, ephemeral-storage: 1Gi}
    moverEnv: {HTTPS_PROXY: "http://proxy.example.com:3128", NO_PROXY: ".svc,10.0.0.0/8"}
  keep: {last: 3, hourly: 1, daily: 7, weekly: 5, monthly: 12, yearly: 2, within: 36h}
  prune: {schedule: 0 4 * * sun}
  verify:
    schedule: "@monthly"
    readData: 5%
  discard: {after: 1mo2d}
- name: rest
  select:
    namespaces: ["*"]
  schedule: '@daily'
`

func TestParse(t *testing.T) {
	t.Parallel()
	file, err := Parse("policies.yaml", []byte(full), func(url string) error {
		if url != "s3://backups/prod?endpoint=https://s3.example.com" {
			t.Errorf("asked whether %q is a repository", url)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(file.Policies) != 2 || !strings.HasPrefix(file.Repository, "s3://backups/prod") || !file.NeedsNamespaceLabels() {
		t.Fatalf("%+v", file)
	}
	p := file.Policies[0]
	if p.Name != "databases" || p.Zone.String() != "Europe/Berlin" || p.Jitter != 15*time.Minute || p.StartingDeadline != 2*time.Hour ||
		!p.Suspend {
		t.Errorf("%+v", p)
	}
	for got, want := range map[string]string{
		p.Schedule.String(): "30 2 * * * Europe/Berlin", p.Prune.String(): "0 4 * * sun Europe/Berlin",
		p.Verify.Schedule.String():        "@monthly Europe/Berlin",
		p.Select.NamespaceLabels.String(): "backup=true", p.Select.StatefulSetLabels.String(): "env in (a,b),tier=db",
		strings.Join(p.Select.Names, " "): "pg-? mysql*", strings.Join(p.Select.Exclude, " "): "pg-x prod/mysql-scratch",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	keep := retention.Rules{Last: 3, Hourly: 1, Daily: 7, Weekly: 5, Monthly: 12, Yearly: 2, Within: calendar.Span{Elapsed: 36 * time.Hour}}
	if (p.DiscardAfter != calendar.Span{Months: 1, Days: 2}) {
		t.Errorf("discards after %s", p.DiscardAfter)
	}
	if p.Keep == nil || *p.Keep != keep || p.Verify.ReadData != 0.05 {
		t.Errorf("keep %+v, verify %+v", p.Keep, p.Verify)
	}
	cpu, disk := p.Backup.Requests["cpu"], p.Backup.Limits["ephemeral-storage"]
	if p.Backup.Method != "snapshot" || p.Backup.Parallel != 2 || p.Backup.SnapshotReadyTimeout != 10*time.Minute || cpu.MilliValue() != 250 ||
		disk.Value() != 1<<30 ||
		len(p.Backup.Env) != 2 || p.Backup.Env["NO_PROXY"] != ".svc,10.0.0.0/8" {
		t.Errorf("%+v", p.Backup)
	}

	rest := file.Policies[1]
	if rest.Schedule.String() != "@daily UTC" || rest.Zone != time.UTC || rest.Keep != nil || rest.DiscardAfter != (calendar.Span{}) ||
		rest.Suspend || rest.Prune.String() != "never" ||
		rest.Verify.Schedule.String() != "never" || rest.Backup.Method != "auto" || rest.Backup.Parallel != 1 ||
		rest.Backup.SnapshotReadyTimeout != 0 ||
		rest.Select.NamespaceLabels != nil {
		t.Errorf("defaults: %+v", rest)
	}
}

func TestParseAnchors(t *testing.T) {
	t.Parallel()
	file, err := Parse("p.yaml", []byte(head+`
- {name: a, select: {names: [a]}, schedule: "@daily", keep: &keep {last: 3}}
- {name: b, select: {names: [b]}, schedule: "@daily", keep: *keep}
`), nil)
	if err != nil || file.Policies[1].Keep.Last != 3 {
		t.Errorf("%+v, %v", file, err)
	}
}

// head holds the lines of a file before the first policy, which is in line 5.
const head = "apiVersion: stsbackup.io/v1\nkind: Policies\nrepository: file:///backups\npolicies:"

// wrong is a file, and all problems to report about it.
type wrong struct {
	name, file string
	want       []string
}

func (w wrong) check(t *testing.T) {
	t.Helper()
	file, err := Parse("p.yaml", []byte(w.file), func(url string) error {
		if !strings.Contains(url, "://") {
			return errors.New("has no scheme; write s3://BUCKET/PREFIX")
		}
		return nil
	})
	var wrong *Error
	if !errors.As(err, &wrong) || file != nil {
		t.Errorf("%s: %v, %+v", w.name, err, file)
		return
	}
	if diff := cmp.Diff(w.want, strings.Split(err.Error(), "\n")); diff != "" {
		t.Errorf("%s (-want +got):\n%s", w.name, diff)
	}
}

func TestParseIsNoPolicyFile(t *testing.T) {
	t.Parallel()
	const known = "apiVersion: stsbackup.io/v1 and kind: Policies"
	for _, test := range []wrong{
		{"empty", "", []string{"p.yaml:1: is empty; a policy file begins with " + known}},
		{"comments", "# soon\n", []string{"p.yaml:1: is empty; a policy file begins with " + known}},
		{"null", "---\n", []string{"p.yaml:1: is empty; a policy file begins with " + known}},
		{"list", "- a\n", []string{"p.yaml:1: must begin with " + known + ", but is a list"}},
		{"text", "hello\n", []string{"p.yaml:1: must begin with " + known + ", but is text"}},
		{"another kind", "apiVersion: v1\nkind: ConfigMap\ndata: {}\n", []string{
			`p.yaml:1: apiVersion: is "v1", and only stsbackup.io/v1 is known`, `p.yaml:2: kind: is "ConfigMap", and only Policies is known`,
		}},
		{
			"a later version, and what it may have", "apiVersion: stsbackup.io/v2\nkind: Policies\nfuture: 1\n",
			[]string{`p.yaml:1: apiVersion: is "stsbackup.io/v2", and only stsbackup.io/v1 is known`},
		},
		{"no kind", "apiVersion: stsbackup.io/v1\n", []string{"p.yaml:1: kind is missing; a policy file begins with " + known}},
		{"a tab", head + "\n- name: a\n\tschedule: x\n", []string{"p.yaml:6: begins with a tab; YAML takes only spaces there"}},
		{"a tab after spaces", head + "\n- name: a\n  select:\n  \tnames: [a]\n", []string{"p.yaml:7: begins with a tab; YAML takes only " +
			"spaces there"}},
		{"a list without its end", head + "\n- name: [a\n", []string{"p.yaml:5: this is not YAML: did not find expected ',' or ']'"}},
		{"text without its end", head + "\n- name: \"a\n", []string{"p.yaml:5: this is not YAML: found unexpected end of stream"}},
		{"a field too far left", head + "\n- name: a\n schedule: x\n", []string{"p.yaml:6: this is not YAML: did not find expected " +
			"key"}},
		{"a field too far right", head + "\n- name: a\n    schedule: x\n", []string{"p.yaml:6: this is not YAML: mapping values are " +
			"not allowed in this context"}},
		{"an alias of nothing", head + "\n- name: *a\n", []string{"p.yaml:1: this is not YAML: unknown anchor 'a' referenced"}},
		{"two documents", head + " [{name: a, select: {names: [a]}, schedule: '@daily'}]\n---\n" + head, []string{"p.yaml:5: a second document " +
			"begins here; put all policies into one"}},
		{"too large", "#" + strings.Repeat(" ", 1<<20), []string{"p.yaml:1: is larger than the 1 MiB that a policy file may have"}},
		{
			"nothing but the header", "apiVersion: stsbackup.io/v1\nkind: Policies\n",
			[]string{"p.yaml:1: repository is missing", "p.yaml:1: policies is missing"},
		},
		{"no policies", head + " []", []string{"p.yaml:4: policies: is an empty list; leave it out, or write at least one item"}},
		{"policies without a value", head, []string{"p.yaml:4: policies: has no value"}},
		{"policies are no list", head + "\n  name: a\n", []string{"p.yaml:4: policies: must be a list, but is a mapping"}},
		{"no repository", strings.Replace(head, "file:///backups", "backups", 1) + " [{name: a, select: {names: [a]}, schedule: '@daily'}]",
			[]string{
				"p.yaml:3: repository: has no scheme; write s3://BUCKET/PREFIX",
			}},
		{"unknown at the top", head + " [{name: a, select: {names: [a]}, schedule: '@daily'}]\nrepo: x\nfoo: 1\n", []string{
			`p.yaml:5: unknown field "repo"; there are apiVersion, kind, repository, policies`,
			`p.yaml:6: unknown field "foo"; there are apiVersion, kind, repository, policies`,
		}},
	} {
		test.check(t)
	}
}

// TestParseWrongPolicies has its policy in line 5 and after.
func TestParseWrongPolicies(t *testing.T) {
	t.Parallel()
	policy := func(lines ...string) string {
		return head + "\n- " + strings.Join(lines, "\n  ") + "\n"
	}
	const name, names, daily = "name: a", "select: {names: [a]}", `schedule: "@daily"`
	for _, test := range []wrong{
		{"nothing in it", head + "\n- {}\n", []string{
			"p.yaml:5: policies[0]: name is missing", "p.yaml:5: policies[0]: select is missing", "p.yaml:5: policies[0]: schedule is missing",
		}},
		{"no mapping", head + "\n- databases\n", []string{
			"p.yaml:5: policies[0]: must have fields (name, select, schedule, timeZone, jitter, startingDeadline, suspend, backup, keep, prune, " +
				"verify, discard), but is text",
		}},
		{"unknown fields", policy(name, "select:", "  namespace: [x]", "  names: [a]", "shedule: x", daily, "colour: red",
			"keep: {dayly: 7, last: 1}"), []string{
			`p.yaml:7: policies[0].select: unknown field "namespace"; did you mean "namespaces"?`,
			`p.yaml:9: policies[0]: unknown field "shedule"; did you mean "schedule"?`,
			`p.yaml:11: policies[0]: unknown field "colour"; there are name, select, schedule, timeZone, jitter, startingDeadline, suspend, ` +
				`backup, keep, prune, verify, discard`,
			`p.yaml:12: policies[0].keep: unknown field "dayly"; did you mean "daily"?`,
		}},
		{"given twice", policy(name, names, daily, "jitter: 1m", "jitter: 2m"), []string{"p.yaml:9: policies[0].jitter: is given twice"}},
		{"names", policy("name: A_b", names, daily) +
			"- {name: none, " + names + ", " + daily + "}\n- {name: 7, " + names + ", " + daily + "}\n", []string{
			`p.yaml:5: policies[0].name: "A_b" cannot be the name of a policy: a lowercase RFC 1123 label must consist of lower case ` +
				`alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used ` +
				`for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')`,
			`p.yaml:8: policies[1].name: "none" cannot be the name of a policy: as the annotation stsbackup.io/policy it means that there is none`,
			`p.yaml:9: policies[2].name: must be text, but is a number; write it in quotes: "7"`,
		}},
		{"one name twice", policy(name, names, daily) + "- {name: a, " + names + ", " + daily + "}\n", []string{
			`p.yaml:8: policies[1]: the name "a" is taken by the policy in line 5; give each policy a name of its own`,
		}},
		{"empty selectors", head + "\n- {name: a, select: {}, " + daily + "}\n- {name: b, select: {exclude: [x]}, " + daily +
			"}\n- {name: c, select: , " + daily + "}\n- {name: d, select: {names: []}, " + daily + "}\n", []string{
			`p.yaml:5: policies[0].select: selects nothing; name namespaces, names, namespaceLabels or statefulSetLabels; namespaces: ["*"] ` +
				`selects every StatefulSet`,
			`p.yaml:6: policies[1].select: selects nothing; name namespaces, names, namespaceLabels or statefulSetLabels; namespaces: ["*"] ` +
				`selects every StatefulSet`,
			`p.yaml:7: policies[2].select: has no value`,
			`p.yaml:8: policies[3].select.names: is an empty list; leave it out, or write at least one item`,
		}},
		{"bad selectors", policy(name, "select:", "  namespaces: prod", "  names: [Web, 'a/b', '[x', '']", "  exclude: [a/b/c, 5]",
			"  namespaceLabels: {}", "  statefulSetLabels: {x: true}", daily), []string{
			`p.yaml:7: policies[0].select.namespaces: must be a list, but is text`,
			`p.yaml:8: policies[0].select.names[0]: "Web" is not a name, nor a pattern with * and ?`,
			`p.yaml:8: policies[0].select.names[1]: "a/b" is not a name, nor a pattern with * and ?`,
			`p.yaml:8: policies[0].select.names[2]: "[x" is not a name, nor a pattern with * and ?`,
			`p.yaml:8: policies[0].select.names[3]: "" is not a name, nor a pattern with * and ?`,
			`p.yaml:9: policies[0].select.exclude[0]: "a/b/c" is not a name, nor a pattern with * and ?`,
			`p.yaml:9: policies[0].select.exclude[1]: must be text, but is a number; write it in quotes: "5"`,
			`p.yaml:10: policies[0].select.namespaceLabels: selects nothing; write labels with their values, or a selector such as tier=db,env ` +
				`in (a,b)`,
			`p.yaml:11: policies[0].select.statefulSetLabels.x: must be text, but is true or false; write it in quotes: "true"`,
		}},
		{"seconds", policy(name, names, `schedule: "* * * * * *"`), []string{
			`p.yaml:7: policies[0].schedule: "* * * * * *": has 6 fields; leave out the seconds: minute, hour, day of month, month, day of week`,
		}},
		{"an unknown time zone", policy(name, names, daily, "timeZone: Europe/Bonn"), []string{
			`p.yaml:8: policies[0].timeZone: there is no time zone "Europe/Bonn"; write one of the IANA database, such as Europe/Berlin or UTC`,
		}},
		{"times", policy(name, names, daily, "jitter: 1d", "startingDeadline: -5m", "backup: {snapshotReadyTimeout: 0s}"), []string{
			`p.yaml:8: policies[0].jitter: "1d" is not a duration; write hours, minutes and seconds, such as 90s, 15m or 1h30m`,
			`p.yaml:9: policies[0].startingDeadline: "-5m" is not a duration; write hours, minutes and seconds, such as 90s, 15m or 1h30m`,
			`p.yaml:10: policies[0].backup.snapshotReadyTimeout: "0s" is not a duration; write hours, minutes and seconds, such as 90s, 15m or ` +
				`1h30m`,
		}},
		{"jitter beyond the next run", policy(name, names, `schedule: "0 8,9 * * *"`, "jitter: 1h"), []string{
			`p.yaml:8: policies[0].jitter: 1h0m0s is not less than the 1h0m0s between two runs of 0 8,9 * * * UTC`,
		}},
		{"keeps nothing", policy(name, names, daily, "keep: {}") + "- {name: b, " + names + ", " + daily + ", keep: {last: 0, within: 0d}}\n",
			[]string{
				`p.yaml:8: policies[0].keep: this would keep nothing: give at least one of last, hourly, daily, weekly, monthly, yearly and within ` +
					`more than 0; leave keep out to keep everything`,
				`p.yaml:9: policies[1].keep: this would keep nothing: give at least one of last, hourly, daily, weekly, monthly, yearly and within ` +
					`more than 0; leave keep out to keep everything`,
			}},
		{"bad values of keep",
			policy(name, names, daily, "keep:", "  last: -1", "  daily: 7d", "  weekly: 1.5", "  within: 5m", "  yearly: [1]"), []string{
				`p.yaml:9: policies[0].keep.last: must be a whole number of at least 0, but is "-1"`,
				`p.yaml:10: policies[0].keep.daily: must be a whole number of at least 0, but is "7d"`,
				`p.yaml:11: policies[0].keep.weekly: must be a whole number of at least 0, but is "1.5"`,
				`p.yaml:12: policies[0].keep.within: "5m" is not a duration: m could be months or minutes, which are mo and min; write for example ` +
					`36h, 30d, 8w or 1y6mo`,
				`p.yaml:13: policies[0].keep.yearly: must be a single value, but is a list`,
			}},
		{"discards", policy(name, names, daily, "discard:", "  after: 23h") + "- {name: b, " + names + ", " + daily +
			", discard: {}}\n- {name: c, " + names + ", " + daily + ", discard: {after: 7}}\n- {name: d, " + names + ", " + daily +
			", discard: never}\n", []string{
			`p.yaml:9: policies[0].discard.after: 23h is less than a day, too short to see whether the restore was right`,
			`p.yaml:10: policies[1].discard: after is missing`,
			`p.yaml:11: policies[2].discard.after: "7" is not a duration: a unit is missing; write for example 36h, 30d, 8w or 1y6mo`,
			`p.yaml:12: policies[3].discard: must have fields (after), but is text`,
		}},
		{"the rest", policy(
			name, names, daily, "suspend: maybe", "backup:", "  method: snapshots", "  parallel: 0", "  moverResources:",
			"    requests: {cpu: lots, memory: 2Gi}", "    limits: {memory: 1Gi, storage: 1}",
			"  moverEnv: {DB_PASSWORD: very-secret, TZ: 1}", "prune: {}", "verify: {schedule: '@never', readData: 5}",
		), []string{
			`p.yaml:8: policies[0].suspend: must be true or false, but is "maybe"`,
			`p.yaml:10: policies[0].backup.method: "snapshots" is unknown; did you mean "snapshot"?`,
			`p.yaml:11: policies[0].backup.parallel: must be a whole number of at least 1, but is "0"`,
			`p.yaml:12: policies[0].backup.moverResources: requests more memory (2Gi) than the limit (1Gi) allows`,
			`p.yaml:13: policies[0].backup.moverResources.requests.cpu: "lots" is not a quantity; write for example 500m, 2, 128Mi or 1Gi`,
			`p.yaml:14: policies[0].backup.moverResources.limits: unknown field "storage"; there are cpu, memory, ephemeral-storage`,
			`p.yaml:15: policies[0].backup.moverEnv.DB_PASSWORD: DB_PASSWORD looks like a secret, and everybody who may read pods can read a ` +
				`mover's environment`,
			`p.yaml:15: policies[0].backup.moverEnv.TZ: must be text, but is a number; write it in quotes: "1"`,
			`p.yaml:16: policies[0].prune: schedule is missing`,
			`p.yaml:17: policies[0].verify.schedule: "@never": is unknown; write five fields, or one of @hourly, @daily, @weekly, @monthly, @yearly`,
			`p.yaml:17: policies[0].verify.readData: "5" is not a share; write for example 5% or 100%`,
		}},
	} {
		test.check(t)
	}
}

func TestLoad(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "policies.yaml")
	if _, err := Load(path, nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if err := os.WriteFile(path, []byte(full), 0o600); err != nil {
		t.Fatal(err)
	}
	if file, err := Load(path, nil); err != nil || len(file.Policies) != 2 {
		t.Errorf("%+v, %v", file, err)
	}
}
