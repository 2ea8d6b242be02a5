import keras
from keras import layers

from sen_tf.models.output_makers import makers


def names(output):
    return sorted(layer.name for layer in makers(output))


def conv(name, filters=4):
    return layers.Conv2D(filters, 1, name=name)


def test_what_has_no_weights_is_passed_through():
    x = image = keras.Input((8, 8, 3))
    x = conv("out")(conv("hidden")(x))
    x = layers.UpSampling2D()(layers.ZeroPadding2D()(layers.LeakyReLU()(x)))
    x = layers.GlobalMaxPooling2D()(layers.AveragePooling2D(2)(layers.SpatialDropout2D(0.1)(x)))
    x = keras.ops.softmax(layers.Dropout(0.1)(layers.Flatten()(x)) + 1)
    assert names(keras.Model(image, x).outputs[0]) == ["out"]


def test_all_terms_of_a_sum_are_found_and_inputs_left_out():
    image = keras.Input((8, 8, 3))
    joined = layers.Concatenate()([conv("a")(image), conv("b")(image), image])
    x = layers.Add()([joined, conv("c", 11)(image)])
    assert names(x) == ["a", "b", "c"]


def test_dense_layers_and_normalizations_end_the_search():
    image = keras.Input((8, 8, 3))
    x = layers.BatchNormalization(name="norm")(conv("a")(image))
    assert names(layers.ReLU()(x)) == ["norm"]
    x = layers.Dense(2, name="dense")(layers.GlobalAveragePooling2D()(x))
    assert names(x) == ["dense"]


def test_of_a_shared_activation_the_last_call_counts():
    activation, image = layers.ReLU(), keras.Input((8, 8, 3))
    hidden = activation(conv("hidden")(image))
    assert names(activation(conv("out")(hidden))) == ["out"]
    assert names(hidden) == ["hidden"]


def test_nested_models_are_entered_and_left_again():
    """The head of one model is before the other, through which the output only passes."""
    backbone = keras.Sequential([keras.Input((8, 8, 3)), conv("first"), conv("second")])
    passing = keras.Sequential([keras.Input((8, 8, 4)), layers.ReLU(), layers.UpSampling2D()])
    model = keras.Sequential([keras.Input((8, 8, 3)), backbone, passing])
    assert names(model.outputs[0]) == ["second"]


def test_of_several_outputs_of_a_nested_model_the_one_that_is_used_counts():
    a, b = keras.Input((8, 8, 3), name="a"), keras.Input((8, 8, 4), name="b")
    inner = keras.Model({"a": a, "b": b}, {"x": conv("left")(a), "y": layers.ReLU()(b)})
    image = keras.Input((8, 8, 3))
    found = inner({"a": image, "b": conv("outside")(image)})
    assert names(found["x"]) == ["left"]
    assert names(found["y"]) == ["outside"]


def test_a_nested_model_that_is_applied_twice_leads_to_both_calls():
    inner = keras.Sequential([keras.Input((8, 8, 4)), layers.ReLU()])
    image = keras.Input((8, 8, 3))
    x, y = inner(conv("a")(image)), inner(conv("b")(image))
    assert names(layers.Add()([x, y])) == ["a", "b"]
