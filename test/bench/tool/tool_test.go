package tool_test

import (
	"strings"
	"testing"

	"github.com/stsbackup/stsbackup/test/bench/tool"
)

func TestCommands(t *testing.T) {
	var (
		local = tool.Repository{Dir: "/repo", Home: "/home"}
		onS3  = tool.Repository{
			Dir:  "/bucket/p",
			Home: "/home",
			S3:   &tool.S3{Address: "127.0.0.1:99", Region: "r", Bucket: "b", Prefix: "p", AccessKey: "ak", SecretKey: "sk"},
		}
	)
	for _, test := range []struct {
		name       string
		tool       int
		repository tool.Repository
		backup     string
		restore    string
		env        string // one of several variables
	}{
		{
			"stsbackup, directory", 0, local,
			"volume backup /data --as bench/db --claim v --repo file:///repo", "volume restore bench/db /target --claim v --repo file:///repo",
			"STSBACKUP_PASSWORD=benchmark",
		},
		{
			"stsbackup, S3", 0, onS3,
			"volume backup /data --as bench/db --claim v --repo s3://b/p?endpoint=http%3A%2F%2F127.0.0.1%3A99&path-style=true&region=r",
			"volume restore bench/db /target --claim v --repo s3://b/p?endpoint=http%3A%2F%2F127.0.0.1%3A99&path-style=true&region=r",
			"AWS_ACCESS_KEY_ID=ak",
		},
		{
			"restic, directory", 1, local,
			"backup --host v . --quiet", "restore latest --host v --target /target --quiet", "RESTIC_REPOSITORY=/repo",
		},
		{
			"restic, S3", 1, onS3,
			"backup --host v . --quiet", "restore latest --host v --target /target --quiet", "RESTIC_REPOSITORY=s3:http://127.0.0.1:99/b/p",
		},
		{
			"kopia, directory", 2, local,
			"snapshot create /data --no-progress --no-auto-maintenance", "snapshot restore /data /target --no-progress --no-auto-maintenance",
			"KOPIA_CACHE_DIRECTORY=/home/cache",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			tested := tool.All("/bin")[test.tool]
			backup := tested.Backup(test.repository, "v", "/data")
			if got := strings.Join(backup.Args, " "); got != test.backup {
				t.Errorf("backup:\n got %s\nwant %s", got, test.backup)
			}
			restore := tested.Restore(test.repository, "v", "/data", "/target")
			if got := strings.Join(restore.Args, " "); got != test.restore {
				t.Errorf("restore:\n got %s\nwant %s", got, test.restore)
			}
			for _, c := range []tool.Command{backup, restore} {
				if !strings.Contains("\n"+strings.Join(c.Env, "\n")+"\n", "\n"+test.env+"\n") {
					t.Errorf("no %s in the environment %q", test.env, c.Env)
				}
			}
		})
	}
}

func TestInitSaysWhereAndHow(t *testing.T) {
	kopia := tool.All("/bin")[2]
	for name, test := range map[string]struct {
		repository tool.Repository
		want       string
	}{
		"directory": {tool.Repository{Dir: "/repo"}, "repository create filesystem --path /repo"},
		"S3":        {tool.Repository{S3: &tool.S3{Bucket: "b", Prefix: "p"}}, "repository create s3 --bucket b --prefix p/"},
	} {
		commands := kopia.Init(test.repository)
		if got := strings.Join(commands[0].Args, " "); !strings.HasPrefix(got, test.want) {
			t.Errorf("%s: %s", name, got)
		}
		if got := strings.Join(commands[1].Args, " "); !strings.Contains(got, "zstd-fastest") {
			t.Errorf("%s: kopia would not compress: %s", name, got)
		}
	}
}
