// One triangle that covers the target, with where each pixel reads from: maps of the plane cost nothing to interpolate.

uniform mat3 newest_from_screen;    // screen uv -> texture uv: camera, aspect and the upside-down rows of an upload
uniform mat3 previous_from_screen;
uniform mat3 trail_from_screen;

out vec2 newest_at;
out vec2 previous_at;
out vec2 trail_at;

void main() {
    vec2 corner = vec2(gl_VertexID == 1 ? 2.0 : 0.0, gl_VertexID == 2 ? 2.0 : 0.0);
    newest_at = (newest_from_screen * vec3(corner, 1.0)).xy;
    previous_at = (previous_from_screen * vec3(corner, 1.0)).xy;
    trail_at = (trail_from_screen * vec3(corner, 1.0)).xy;
    gl_Position = vec4(corner * 2.0 - 1.0, 0.0, 1.0);
}
