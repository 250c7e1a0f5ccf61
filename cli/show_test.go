package cli

import "testing"

func TestATextFitsItsCell(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		{"", "-"},
		{"plain", "plain"},
		{"a\nb\tc\rd", "a b c d"},
		{"\x1b[31mred\x07", "?[31mred?"},
		{"élan vital", "élan vital"},
		{"ééééééééééé", "ééééééééé…"},
	} {
		if got := short(test.in, 10); got != test.want {
			t.Errorf("short(%q) is %q, want %q", test.in, got, test.want)
		}
	}
}
