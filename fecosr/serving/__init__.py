"""Use what a market has trained: keep its model, measure it, recommend with it, hand it on.

    facts             what model.json says about a market model
    market_model      the folder of a market model: written and read as a whole
    catalogue_file    the catalogue in it, as Parquet
    parameters_file   named tensors in it, as safetensors, checked before they are used
    trained           from a learner that has fine-tuned to a model that can be served
    market_data       the market's interactions, in the numbering of the model
    histories         whose histories to continue: the market's users, or those of a file
    new_items         items that came after the training, known by their titles
    ranking           the best k items of each user, ties decided
    recommendations   block by block from histories to a file
    evaluation        the figures of the report, and where in the catalogue they come from
    export            a copy to hand on, with a model card and, on demand, ONNX

Everything here stays in the market; the coordinator cannot even import it. Shapes as in `fecosr.recommender`.
"""
