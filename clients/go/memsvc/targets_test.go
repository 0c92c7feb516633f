package memsvc

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTargetsThatAreTaken(t *testing.T) {
	for target, address := range map[string]string{
		"unix:///run/memsvc/memsvc.sock": "unix:///run/memsvc/memsvc.sock",
		"unix:memsvc.sock":               "unix:memsvc.sock",
		"unix-abstract:memsvc":           "unix-abstract:memsvc",
		"127.0.0.1:7432":                 "127.0.0.1:7432",
		"[::1]:7432":                     "[::1]:7432",
		"memory.example.com:7432":        "memory.example.com:7432",
		"tls://memory.example.com:7432":  "memory.example.com:7432",
		"dns:///memory.example.com:7432": "dns:///memory.example.com:7432",
	} {
		came, useTLS, err := checkedTarget(target)
		if err != nil || came != address || useTLS != strings.HasPrefix(target, "tls:") {
			t.Errorf("%s: %s, %v, %v", target, came, useTLS, err)
		}
	}
}

func TestATargetThatIsNoneSaysWhatToWriteInstead(t *testing.T) {
	for target, says := range map[string]string{
		"":                              "is empty",
		"unix:// /x":                    "spaces",
		"unix://run/memsvc.sock":        "three slashes",
		"unix:///":                      "names no socket",
		"unix:///" + longName:           "at most 107 bytes",
		"/run/memsvc.sock":              "is a path",
		"memsvc.sock":                   "is a path",
		"localhost":                     "host:port",
		":7432":                         "names no host",
		"localhost:http":                "a number from 1 to 65535",
		"localhost:0":                   "a number from 1 to 65535",
		"::1:7432":                      "in brackets",
		"localhost:7432/memories":       "has a path",
		"https://example.com":           `"tls://host:port"`,
		"http://example.com":            `"host:port"`,
		"postgresql://me:secret@db/x":   "is a database",
		"sqlite:///memory.db":           "is a database",
		"me:secret@example.com:7432":    "holds a user or password",
		"tls://me:secret@example.com:1": "holds a user or password",
		"ftp://example.com":             "scheme that is not known",
	} {
		_, _, err := checkedTarget(target)
		var argument *ArgumentError
		if !errors.As(err, &argument) || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", target, err)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("a password is shown: %v", err)
		}
	}
}

var longName = strings.Repeat("x", 120)

func TestCertificatesThatCannotBeUsedAreNamed(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for says, option := range map[string]Option{
		"cannot be read":         WithCAFile("/nowhere/ca.pem"),
		"holds no certificate":   WithCAFile(empty),
		"one of them is missing": WithCertificateFiles(empty, ""),
		"no such file":           WithCertificateFiles("/nowhere/a.pem", "/nowhere/b.pem"),
		"a line's end":           WithToken("secret\n"),
		"more than 0":            WithTimeout(0),
	} {
		_, err := New("tls://localhost:1", option)
		var argument *ArgumentError
		if !errors.As(err, &argument) || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, not %s", err, says)
		}
	}
}

func TestTheEnvironmentSaysWhatIsNotGiven(t *testing.T) {
	t.Setenv("MEMSVC_TOKEN", "memsvc_all_1")
	t.Setenv("MEMSVC_CA_FILE", "/nowhere/ca.pem")
	client, err := New("localhost:1")
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if *client.settings.token != "memsvc_all_1" {
		t.Errorf("the token is %q", *client.settings.token)
	}
	if _, err := New("tls://localhost:1"); err == nil || !strings.Contains(err.Error(), "/nowhere/ca.pem") {
		t.Errorf("%v", err)
	}
}
