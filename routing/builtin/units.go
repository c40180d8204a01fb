package builtin

import (
	"context"
	"encoding/json"
	"math"
	"strings"

	"github.com/aimarket/aimarket/internal/canon"
)

// unit is base = value·factor + offset. Factors are exact by definition unless
// noted: the international yard and pound, BIPM's SI brochure, IEC binary
// prefixes, and the US gallon of 231 cubic inches.
type unit struct {
	quantity, symbol string
	factor, offset   float64
}

const (
	inch   = 0.0254
	foot   = 0.3048
	mile   = 1609.344
	pound  = 0.45359237
	g0     = 9.80665 // standard gravity
	gallon = 231 * inch * inch * inch
	impGal = 0.00454609
)

// units by every name they answer to. Symbols keep their case (mW is not MW);
// names are looked up in lower case.
var units = func() map[string]unit {
	m := map[string]unit{}
	add := func(quantity string, factor, offset float64, names string) {
		list := strings.Split(names, ",")
		for _, n := range list {
			if _, taken := m[n]; taken {
				panic("builtin: unit " + n + " is listed twice")
			}
			m[n] = unit{quantity, list[0], factor, offset}
		}
	}
	const l, ms, t, ar, vo, sp, ti, pr, en, po, an, da, dr = "length", "mass", "temperature", "area", "volume", "speed", "time", "pressure", "energy", "power", "angle", "data", "data rate"
	add(l, 1, 0, "m,meter,metre,meters,metres")
	add(l, 1e3, 0, "km,kilometer,kilometre,kilometers,kilometres")
	add(l, 1e-1, 0, "dm,decimeter,decimetre,decimeters,decimetres")
	add(l, 1e-2, 0, "cm,centimeter,centimetre,centimeters,centimetres")
	add(l, 1e-3, 0, "mm,millimeter,millimetre,millimeters,millimetres")
	add(l, 1e-6, 0, "µm,um,μm,micrometer,micrometre,micrometers,micrometres,micron,microns")
	add(l, 1e-9, 0, "nm,nanometer,nanometre,nanometers,nanometres")
	add(l, inch, 0, "in,inch,inches")
	add(l, foot, 0, "ft,foot,feet")
	add(l, 3*foot, 0, "yd,yard,yards")
	add(l, mile, 0, "mi,mile,miles")
	add(l, 1852, 0, "nmi,nautical mile,nautical miles")
	add(l, 149597870700, 0, "au,astronomical unit,astronomical units")
	add(l, 9460730472580800, 0, "ly,light year,light years,light-year,light-years")
	add(ms, 1, 0, "kg,kilogram,kilograms")
	add(ms, 1e-3, 0, "g,gram,grams")
	add(ms, 1e-6, 0, "mg,milligram,milligrams")
	add(ms, 1e-9, 0, "µg,ug,μg,mcg,microgram,micrograms")
	add(ms, 1e3, 0, "t,tonne,tonnes,metric ton,metric tons")
	add(ms, pound, 0, "lb,lbs,pound,pounds")
	add(ms, pound/16, 0, "oz,ounce,ounces")
	add(ms, 14*pound, 0, "st,stone,stones")
	add(ms, 2000*pound, 0, "short ton,short tons,us ton,us tons")
	add(ms, 2240*pound, 0, "long ton,long tons,imperial ton,imperial tons")
	add(ms, 0.0002, 0, "ct,carat,carats")
	add(t, 1, 0, "K,kelvin,kelvins")
	add(t, 1, 273.15, "°C,C,celsius,degc,degrees celsius")
	add(t, 5.0/9, 459.67*5/9, "°F,F,fahrenheit,degf,degrees fahrenheit")
	add(t, 5.0/9, 0, "°R,rankine")
	add(ar, 1, 0, "m²,m2,square meter,square metre,square meters,square metres,sqm")
	add(ar, 1e6, 0, "km²,km2,square kilometer,square kilometre,square kilometers,square kilometres")
	add(ar, 1e-4, 0, "cm²,cm2,square centimeter,square centimetre,square centimeters,square centimetres")
	add(ar, 1e-6, 0, "mm²,mm2,square millimeter,square millimetre,square millimeters,square millimetres")
	add(ar, 1e4, 0, "ha,hectare,hectares")
	add(ar, inch*inch, 0, "in²,in2,square inch,square inches")
	add(ar, foot*foot, 0, "ft²,ft2,square foot,square feet,sqft")
	add(ar, 9*foot*foot, 0, "yd²,yd2,square yard,square yards")
	add(ar, mile*mile, 0, "mi²,mi2,square mile,square miles")
	add(ar, 43560*foot*foot, 0, "ac,acre,acres")
	add(vo, 1e-3, 0, "L,l,liter,litre,liters,litres")
	add(vo, 1e-6, 0, "mL,ml,milliliter,millilitre,milliliters,millilitres,cm³,cm3,cc")
	add(vo, 1e-5, 0, "cL,cl,centiliter,centilitre,centiliters,centilitres")
	add(vo, 1e-4, 0, "dL,dl,deciliter,decilitre,deciliters,decilitres")
	add(vo, 1e-1, 0, "hL,hl,hectoliter,hectolitre,hectoliters,hectolitres")
	add(vo, 1, 0, "m³,m3,cubic meter,cubic metre,cubic meters,cubic metres")
	add(vo, inch*inch*inch, 0, "in³,in3,cubic inch,cubic inches")
	add(vo, foot*foot*foot, 0, "ft³,ft3,cubic foot,cubic feet")
	add(vo, gallon, 0, "gal,gallon,gallons,us gallon,us gallons")
	add(vo, gallon/4, 0, "qt,quart,quarts,us quart,us quarts")
	add(vo, gallon/8, 0, "pt,pint,pints,us pint,us pints")
	add(vo, gallon/16, 0, "cup,cups,us cup,us cups")
	add(vo, gallon/128, 0, "fl oz,floz,fluid ounce,fluid ounces,us fluid ounce")
	add(vo, gallon/256, 0, "tbsp,tablespoon,tablespoons")
	add(vo, gallon/768, 0, "tsp,teaspoon,teaspoons")
	add(vo, impGal, 0, "imperial gallon,imperial gallons,imp gal")
	add(vo, impGal/8, 0, "imperial pint,imperial pints,imp pt")
	add(vo, 42*gallon, 0, "bbl,barrel,barrels,oil barrel")
	add(sp, 1, 0, "m/s,mps,meters per second,metres per second")
	add(sp, 1/3.6, 0, "km/h,kmh,kph,kilometers per hour,kilometres per hour")
	add(sp, mile/3600, 0, "mph,miles per hour")
	add(sp, 1852.0/3600, 0, "kn,knot,knots")
	add(sp, foot, 0, "ft/s,fps,feet per second")
	add(ti, 1, 0, "s,sec,second,seconds")
	add(ti, 1e-3, 0, "ms,millisecond,milliseconds")
	add(ti, 1e-6, 0, "µs,us,μs,microsecond,microseconds")
	add(ti, 1e-9, 0, "ns,nanosecond,nanoseconds")
	add(ti, 60, 0, "min,minute,minutes")
	add(ti, 3600, 0, "h,hr,hour,hours")
	add(ti, 86400, 0, "d,day,days")
	add(ti, 7*86400, 0, "wk,week,weeks")
	add(ti, 365.25*86400, 0, "yr,year,years,julian year,julian years")
	add(pr, 1, 0, "Pa,pascal,pascals")
	add(pr, 1e2, 0, "hPa,hectopascal,hectopascals,mbar,millibar,millibars")
	add(pr, 1e3, 0, "kPa,kilopascal,kilopascals")
	add(pr, 1e6, 0, "MPa,megapascal,megapascals")
	add(pr, 1e5, 0, "bar,bars")
	add(pr, 101325, 0, "atm,atmosphere,atmospheres")
	add(pr, 101325.0/760, 0, "Torr,torr")
	add(pr, pound*g0/(inch*inch), 0, "psi,pounds per square inch")
	add(en, 1, 0, "J,joule,joules")
	add(en, 1e3, 0, "kJ,kilojoule,kilojoules")
	add(en, 1e6, 0, "MJ,megajoule,megajoules")
	add(en, 3600, 0, "Wh,watt hour,watt hours")
	add(en, 3.6e6, 0, "kWh,kilowatt hour,kilowatt hours")
	add(en, 3.6e9, 0, "MWh,megawatt hour,megawatt hours")
	add(en, 4.184, 0, "cal,calorie,calories")
	add(en, 4184, 0, "kcal,kilocalorie,kilocalories")
	add(en, 1.602176634e-19, 0, "eV,electronvolt,electronvolts")
	add(en, 1055.05585262, 0, "BTU,btu,british thermal unit,british thermal units")
	add(po, 1, 0, "W,watt,watts")
	add(po, 1e-3, 0, "mW,milliwatt,milliwatts")
	add(po, 1e3, 0, "kW,kilowatt,kilowatts")
	add(po, 1e6, 0, "MW,megawatt,megawatts")
	add(po, 1e9, 0, "GW,gigawatt,gigawatts")
	add(po, 550*foot*pound*g0, 0, "hp,horsepower")
	add(po, 75*g0, 0, "PS,metric horsepower")
	add(an, 1, 0, "rad,radian,radians")
	add(an, math.Pi/180, 0, "°,deg,degree,degrees")
	add(an, math.Pi/200, 0, "gon,grad,gradian,gradians")
	add(an, math.Pi/10800, 0, "arcmin,arcminute,arcminutes")
	add(an, math.Pi/648000, 0, "arcsec,arcsecond,arcseconds")
	add(an, 2*math.Pi, 0, "turn,turns,revolution,revolutions")
	add(da, 1, 0, "bit,bits")
	add(da, 8, 0, "B,byte,bytes")
	for i, p := range []struct{ s, name string }{{"k", "kilo"}, {"M", "mega"}, {"G", "giga"}, {"T", "tera"}, {"P", "peta"}} {
		f := math.Pow(1000, float64(i+1))
		add(da, 8*f, 0, p.s+"B,"+p.name+"byte,"+p.name+"bytes")
		add(da, f, 0, p.s+"bit,"+p.name+"bit,"+p.name+"bits")
		add(dr, f, 0, p.s+"bit/s,"+p.s+"bps,"+p.name+"bits per second")
		add(dr, 8*f, 0, p.s+"B/s,"+p.name+"bytes per second")
	}
	for i, p := range []struct{ s, name string }{{"Ki", "kibi"}, {"Mi", "mebi"}, {"Gi", "gibi"}, {"Ti", "tebi"}, {"Pi", "pebi"}} {
		f := math.Pow(1024, float64(i+1))
		add(da, 8*f, 0, p.s+"B,"+p.name+"byte,"+p.name+"bytes")
		add(dr, 8*f, 0, p.s+"B/s,"+p.name+"bytes per second")
	}
	add(dr, 1, 0, "bit/s,bps,bits per second")
	add(dr, 8, 0, "B/s,bytes per second")
	return m
}()

func (a *args) unit(field string) unit {
	s := strings.TrimSpace(a.text(field, 64))
	if u, ok := units[s]; ok {
		return u
	}
	if u, ok := units[strings.ToLower(s)]; ok {
		return u
	}
	a.fail(field, "is not a known unit: %q; use a name or symbol such as km, mile, °C, kWh, MiB", s)
	return unit{}
}

func convertUnit(_ context.Context, in canon.Value) (json.RawMessage, error) {
	a := args{in: in}
	x := a.number("value")
	from, to := a.unit("from"), a.unit("to")
	if a.err == nil && from.quantity != to.quantity {
		a.fail("to", "is a unit of %s, but from is one of %s", to.quantity, from.quantity)
	}
	if a.err != nil {
		return nil, a.err
	}
	y := convert(x, from, to)
	if from.quantity == "temperature" && x*from.factor+from.offset < -1e-9 {
		return nil, bad("value", "is below absolute zero")
	}
	if math.IsInf(y, 0) {
		return nil, bad("value", "is too large to convert")
	}
	var o object
	o.num("value", y)
	o.str("from", from.symbol)
	o.str("to", to.symbol)
	o.str("quantity", from.quantity)
	return o.done()
}

// convert rounds to 15 significant digits, which is what a double holds for sure:
// it removes the noise of the multiplication and nothing else.
func convert(x float64, from, to unit) float64 {
	if from == to {
		return x
	}
	return round15((x*from.factor + from.offset - to.offset) / to.factor)
}
