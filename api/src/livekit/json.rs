//! Answers in JSON as LiveKit writes them: field names of the protocol (`num_participants`), and every field there even
//! when it says nothing. The generated writers use the other form (`numParticipants`, defaults left out); SDKs read
//! both, scripts written against LiveKit know only the first.

use serde_json::{Map, Value, json};

/// The fields of a message with what each is when nothing was said.
pub(super) struct Shape(&'static [(&'static str, Field)]);

/// What a field holds.
enum Field {
    Text,
    Number,
    /// 64 bits: JSON has them as text.
    Wide,
    Flag,
    /// An enumeration; its zero is called so.
    Name(&'static str),
    List,
    Map,
    Object(&'static Shape),
    Objects(&'static Shape),
}

use Field::{Flag, List, Name, Number, Object, Objects, Text, Wide};

pub(super) static EMPTY: Shape = Shape(&[]);

static CODEC: Shape = Shape(&[("mime", Text), ("fmtp_line", Text)]);

static VERSION: Shape = Shape(&[("unix_micro", Wide), ("ticks", Number)]);

pub(super) static ROOM: Shape = Shape(&[
    ("sid", Text),
    ("name", Text),
    ("empty_timeout", Number),
    ("departure_timeout", Number),
    ("max_participants", Number),
    ("creation_time", Wide),
    ("creation_time_ms", Wide),
    ("turn_password", Text),
    ("enabled_codecs", Objects(&CODEC)),
    ("metadata", Text),
    ("num_participants", Number),
    ("num_publishers", Number),
    ("active_recording", Flag),
    ("version", Object(&VERSION)),
]);

pub(super) static LIST_ROOMS: Shape = Shape(&[("rooms", Objects(&ROOM))]);

static LAYER: Shape = Shape(&[
    ("quality", Name("LOW")),
    ("width", Number),
    ("height", Number),
    ("bitrate", Number),
    ("ssrc", Number),
    ("spatial_layer", Number),
    ("rid", Text),
    ("repair_ssrc", Number),
]);

static SIMULCAST_CODEC: Shape = Shape(&[
    ("mime_type", Text),
    ("mid", Text),
    ("cid", Text),
    ("layers", Objects(&LAYER)),
    ("video_layer_mode", Name("MODE_UNUSED")),
    ("sdp_cid", Text),
]);

static TRACK: Shape = Shape(&[
    ("sid", Text),
    ("type", Name("AUDIO")),
    ("name", Text),
    ("muted", Flag),
    ("width", Number),
    ("height", Number),
    ("simulcast", Flag),
    ("disable_dtx", Flag),
    ("source", Name("UNKNOWN")),
    ("layers", Objects(&LAYER)),
    ("mime_type", Text),
    ("mid", Text),
    ("codecs", Objects(&SIMULCAST_CODEC)),
    ("stereo", Flag),
    ("disable_red", Flag),
    ("encryption", Name("NONE")),
    ("stream", Text),
    ("version", Object(&VERSION)),
    ("audio_features", List),
    ("backup_codec_policy", Name("PREFER_REGRESSION")),
    ("packet_trailer_features", List),
]);

pub(super) static MUTE: Shape = Shape(&[("track", Object(&TRACK))]);

static PERMISSION: Shape = Shape(&[
    ("can_subscribe", Flag),
    ("can_publish", Flag),
    ("can_publish_data", Flag),
    ("can_publish_sources", List),
    ("hidden", Flag),
    ("recorder", Flag),
    ("can_update_metadata", Flag),
    ("agent", Flag),
    ("can_subscribe_metrics", Flag),
    ("can_manage_agent_session", Flag),
]);

static DATA_TRACK: Shape =
    Shape(&[("pub_handle", Number), ("sid", Text), ("name", Text), ("encryption", Name("NONE"))]);

pub(super) static PARTICIPANT: Shape = Shape(&[
    ("sid", Text),
    ("identity", Text),
    ("state", Name("JOINING")),
    ("tracks", Objects(&TRACK)),
    ("metadata", Text),
    ("joined_at", Wide),
    ("joined_at_ms", Wide),
    ("name", Text),
    ("version", Number),
    ("permission", Object(&PERMISSION)),
    ("region", Text),
    ("is_publisher", Flag),
    ("kind", Name("STANDARD")),
    ("attributes", Field::Map),
    ("disconnect_reason", Name("UNKNOWN_REASON")),
    ("kind_details", List),
    ("data_tracks", Objects(&DATA_TRACK)),
    ("client_protocol", Number),
    ("capabilities", List),
]);

pub(super) static LIST_PARTICIPANTS: Shape = Shape(&[("participants", Objects(&PARTICIPANT))]);

/// A message in LiveKit's form.
pub(super) fn complete(written: Value, shape: &Shape) -> Value {
    let Value::Object(mut fields) = written else { return written };
    let mut whole = Map::new();
    for (name, field) in shape.0 {
        whole.insert((*name).into(), fill(fields.remove(&camel(name)), field));
    }
    // What the protocol gained since is kept, under the name it would have.
    whole.extend(fields.into_iter().map(|(name, value)| (snake(&name), value)));
    Value::Object(whole)
}

fn fill(value: Option<Value>, field: &Field) -> Value {
    match (field, value) {
        (Object(shape), Some(value)) => complete(value, shape),
        (Objects(shape), Some(Value::Array(values))) => {
            values.into_iter().map(|value| complete(value, shape)).collect()
        }
        (_, Some(value)) => value,
        (Text, None) => json!(""),
        (Number, None) => json!(0),
        (Wide, None) => json!("0"),
        (Flag, None) => json!(false),
        (Name(zero), None) => json!(zero),
        (List | Objects(_), None) => json!([]),
        (Field::Map, None) => json!({}),
        (Object(_), None) => Value::Null,
    }
}

/// `num_participants` as `numParticipants`.
fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let mut camel = words.next().unwrap_or_default().to_string();
    for word in words {
        let mut letters = word.chars();
        camel.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        camel.push_str(letters.as_str());
    }
    camel
}

/// `numParticipants` as `num_participants`.
fn snake(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use signaling::wire::proto;

    use super::*;

    #[test]
    fn an_empty_answer_says_every_field() {
        let room = complete(serde_json::to_value(proto::Room::default()).unwrap(), &ROOM);

        assert_eq!(room["num_participants"], 0);
        assert_eq!(room["creation_time"], "0");
        assert_eq!(room["enabled_codecs"], json!([]));
        assert_eq!(room["version"], Value::Null);
    }

    #[test]
    fn messages_inside_messages_are_completed_too() {
        let track = proto::TrackInfo { sid: "TR_1".into(), r#type: 1, width: 640, ..Default::default() };
        let participant = proto::ParticipantInfo {
            sid: "PA_1".into(),
            joined_at: 12,
            tracks: vec![track],
            attributes: [("camelCase".to_string(), "kept".to_string())].into(),
            permission: Some(proto::ParticipantPermission { can_publish: true, ..Default::default() }),
            ..Default::default()
        };
        let list = proto::ListParticipantsResponse { participants: vec![participant] };

        let whole = complete(serde_json::to_value(list).unwrap(), &LIST_PARTICIPANTS);

        let one = &whole["participants"][0];
        assert_eq!(
            (&one["joined_at"], &one["state"], &one["kind"]),
            (&json!("12"), &json!("JOINING"), &json!("STANDARD"))
        );
        assert_eq!((&one["tracks"][0]["type"], &one["tracks"][0]["muted"]), (&json!("VIDEO"), &json!(false)));
        assert_eq!(one["permission"]["can_publish"], true);
        assert_eq!(one["attributes"], json!({ "camelCase": "kept" }));
    }

    #[test]
    fn what_is_completed_can_be_read_back() {
        let whole = complete(json!({}), &PARTICIPANT);

        let read: proto::ParticipantInfo = serde_json::from_value(whole).unwrap();

        assert_eq!(read, proto::ParticipantInfo::default());
    }

    #[test]
    fn a_field_that_is_not_drawn_here_is_kept() {
        assert_eq!(complete(json!({ "someNewField": 1 }), &EMPTY), json!({ "some_new_field": 1 }));
    }
}
