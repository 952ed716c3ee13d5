//! Places on earth: circles and rectangles.

use crate::GeoPoint;

/// The earth's mean radius, in meters (IUGG).
const EARTH_RADIUS_M: f64 = 6_371_008.8;
/// Half of the way around the earth: no two places are farther apart.
pub(super) const DISTANCE_MAX_M: f64 = 20_037_509.0;

/// Everything that is near to a place, along the surface of a sphere.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Circle {
    pub(super) center: GeoPoint,
    /// Up to and including.
    pub(super) within_m: f64,
}

impl Circle {
    pub(super) fn contains(&self, point: GeoPoint) -> bool {
        distance_m(self.center, point) <= self.within_m
    }

    /// Latitudes outside of which nothing is in the circle.
    pub(super) fn latitudes(&self) -> (f64, f64) {
        // A hair wider, so that rounding leaves nothing out: each place in between is looked at anyway.
        let degrees = (self.within_m / EARTH_RADIUS_M).to_degrees() + 1e-6;
        (self.center.lat() - degrees, self.center.lat() + degrees)
    }
}

/// By the haversine formula, which is exact on a sphere and within 0.6% of the way on the real earth.
fn distance_m(left: GeoPoint, right: GeoPoint) -> f64 {
    let (left_lat, right_lat) = (left.lat().to_radians(), right.lat().to_radians());
    let half_lat = ((right_lat - left_lat) / 2.0).sin();
    let half_lon = ((right.lon() - left.lon()).to_radians() / 2.0).sin();
    let chord = half_lat * half_lat + left_lat.cos() * right_lat.cos() * half_lon * half_lon;
    2.0 * EARTH_RADIUS_M * chord.sqrt().min(1.0).asin()
}

/// Everything between two latitudes and two longitudes, bounds included. `west` beyond `east` means across the date line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rectangle {
    pub(super) south: f64,
    pub(super) west: f64,
    pub(super) north: f64,
    pub(super) east: f64,
}

impl Rectangle {
    pub(super) fn contains(&self, point: GeoPoint) -> bool {
        let across = self.west > self.east;
        let (after, before) = (point.lon() >= self.west, point.lon() <= self.east);
        let between = if across { after || before } else { after && before };
        between && (self.south..=self.north).contains(&point.lat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(lat: f64, lon: f64) -> GeoPoint {
        GeoPoint::new(lat, lon).unwrap()
    }

    #[test]
    fn distances_are_those_of_the_sphere() {
        // Munich and Berlin, about 504 km.
        let distance = distance_m(point(48.1372, 11.5756), point(52.5186, 13.4083));
        assert!((distance - 504_000.0).abs() < 2_000.0, "{distance}");
        assert!((distance_m(point(0.0, 0.0), point(0.0, 180.0)) - 20_015_114.0).abs() < 100.0);
        assert!(distance_m(point(0.0, 179.9), point(0.0, -179.9)) < 23_000.0);
        assert!(distance_m(point(90.0, 0.0), point(90.0, 120.0)) < 1e-3);
    }

    #[test]
    fn a_rectangle_may_cross_the_date_line() {
        let fiji = Rectangle { south: -20.0, west: 177.0, north: -15.0, east: -178.0 };
        assert!(fiji.contains(point(-17.7, 178.1)) && fiji.contains(point(-17.7, -179.5)));
        assert!(!fiji.contains(point(-17.7, 0.0)) && !fiji.contains(point(-21.0, 178.0)));
    }
}
