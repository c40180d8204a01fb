package builtin

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"image"
	"image/color"
	"image/png"
	"strconv"
	"strings"

	"rsc.io/qr"

	"github.com/aimarket/aimarket/internal/canon"
)

const (
	maxQRText  = 1024 // bytes; a version 40 code at level H holds 1273
	maxQRScale = 16   // 185 modules at most: 2960 pixels a side
)

var qrLevels = map[string]qr.Level{"L": qr.L, "M": qr.M, "Q": qr.Q, "H": qr.H}

// quietZone is the blank border that scanners need (ISO/IEC 18004 §5.3.8).
const quietZone = 4

func qrCode(_ context.Context, in canon.Value) (json.RawMessage, error) {
	a := args{in: in}
	text := a.text("text", maxQRText)
	format := a.option("format", "png", "svg", "terminal")
	level := a.option("level", "M", "L", "Q", "H")
	scale := int(a.integer("scale", 8, 1, maxQRScale))
	if a.err == nil && text == "" {
		a.fail("text", "is empty; there is nothing to encode")
	}
	if a.err != nil {
		return nil, a.err
	}
	code, err := qr.Encode(text, qrLevels[level])
	if err != nil {
		return nil, bad("text", "does not fit into a QR code at level %s: %v", level, err)
	}
	modules := qrModules(code)
	var content, media string
	switch format {
	case "png":
		content, media = base64.StdEncoding.EncodeToString(qrPNG(modules, scale)), "image/png"
	case "svg":
		content, media = qrSVG(modules), "image/svg+xml"
	default:
		content, media = qrTerminal(modules), "text/plain; charset=utf-8"
	}
	var o object
	o.str("format", format)
	o.str("media_type", media)
	o.int("modules", len(modules))
	o.str("content", content)
	return o.done()
}

// qrModules is the code with its border, true where it is dark.
func qrModules(c *qr.Code) [][]bool {
	n := c.Size + 2*quietZone
	rows := make([][]bool, n)
	for y := range rows {
		rows[y] = make([]bool, n)
		for x := range rows[y] {
			rows[y][x] = c.Black(x-quietZone, y-quietZone)
		}
	}
	return rows
}

func qrPNG(modules [][]bool, scale int) []byte {
	n := len(modules) * scale
	img := image.NewPaletted(image.Rect(0, 0, n, n), color.Palette{color.White, color.Black})
	for y := range n {
		row := modules[y/scale]
		for x := range n {
			if row[x/scale] {
				img.Pix[y*img.Stride+x] = 1
			}
		}
	}
	var b bytes.Buffer
	// Writing to memory does not fail.
	(&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(&b, img)
	return b.Bytes()
}

func qrSVG(modules [][]bool) string {
	n := strconv.Itoa(len(modules))
	var b strings.Builder
	b.WriteString(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ` + n + ` ` + n + `" shape-rendering="crispEdges"><path fill="#fff" d="M0 0h` + n + `v` + n + `H0z"/><path d="`)
	for y, row := range modules {
		for x := 0; x < len(row); {
			start := x
			for x < len(row) && row[x] {
				x++
			}
			if w := x - start; w > 0 {
				b.WriteString("M" + strconv.Itoa(start) + " " + strconv.Itoa(y) + "h" + strconv.Itoa(w) + "v1h-" + strconv.Itoa(w) + "z")
			} else {
				x++
			}
		}
	}
	b.WriteString(`"/></svg>`)
	return b.String()
}

// qrTerminal draws two rows of modules per line of text, light on dark.
func qrTerminal(modules [][]bool) string {
	var b strings.Builder
	for y := 0; y < len(modules); y += 2 {
		for x := range modules[y] {
			top := modules[y][x]
			bottom := y+1 < len(modules) && modules[y+1][x]
			switch {
			case !top && !bottom:
				b.WriteString("█")
			case !top:
				b.WriteString("▀")
			case !bottom:
				b.WriteString("▄")
			default:
				b.WriteByte(' ')
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}
