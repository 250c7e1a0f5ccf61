package api_test

import (
	"testing"

	"github.com/belfryhq/belfry/node/api"
)

func TestASubjectNamesItsUserWhereverItIsHeard(t *testing.T) {
	for subject, want := range map[string]string{
		api.DefaultPrefix.Subject("ada", "item", "get"):            "ada",
		api.DefaultPrefix.LocalSubject("n1", "ada", "item", "get"): "ada",
		"belfry.api.ada": "",
		"":               "",
	} {
		if user := api.UserOf(subject); user != want {
			t.Errorf("%q is asked by %q, want %q", subject, user, want)
		}
	}
}

func TestAPrefixIsOnePlainWord(t *testing.T) {
	for p, valid := range map[api.SubjectPrefix]bool{
		"": true, "belfry": true, "a": true, "night-shift-2": true, "0": true, "a23456789012345678901234567890bc": true,
		"a23456789012345678901234567890bcd": false, "a.b": false, "A": false, "a_b": false, "-a": false, "*": false, ">": false,
		"$SYS": false, "a b": false, "a\n": false, "ä": false, "_INBOX": false,
	} {
		if p.Valid() != valid {
			t.Errorf("%q is valid: %v", p, p.Valid())
		}
	}
	if got := api.SubjectPrefix("night").LocalSubject("n1", "ada", "item", "get"); got != "night.api.ada.item.get.n1" || api.UserOf(got) != "ada" {
		t.Errorf("a call at a node goes to %s", got)
	}
}
